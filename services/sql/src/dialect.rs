//! Where the engines' SQL differs. Statements are written for PostgreSQL, with tokens in braces for what SQLite says
//! otherwise; this module turns them into what each engine reads.
//!
//! | token | PostgreSQL | SQLite |
//! |---|---|---|
//! | `$1` | `$1` | `?1` |
//! | `{blob}` | `BYTEA` | `BLOB` |
//! | `{binary}` | `COLLATE "C"` (compares bytes) | nothing: it always does |
//! | `{rows by key}` | nothing | `WITHOUT ROWID`: the table is stored in its primary key |
//! | `{for update}` | `FOR UPDATE` | nothing: there is one writer |
//! | `{for update:a}` | `FOR UPDATE OF a` | nothing |
//! | `{skip locked}` | `FOR UPDATE SKIP LOCKED` | nothing |
//! | `{ids:$1}` | a select of the ids in a [`Value::ids`](crate::Value::ids) | the same |
//! | `{texts:$1}` | a select of the texts in a [`Value::texts`](crate::Value::texts) | the same |
//! | `{list}` | `json_build_array`: its arguments as a JSON array | `json_array` |
//! | `{list of rows}` | `json_agg`: its argument in every row as a JSON array | `json_group_array` |
//! | `{hex:x}` | the bytes in column `x` as a text | the same |
//! | `{triples:$1}` | a select of `a`, `b` and `c` in a [`Value::triples`](crate::Value::triples) | the same |
//! | `{records:$1}` | a select of the `record`s in a [`Value::records`](crate::Value::records) | the same |
//! | `{int:r.record 0}` | the first column of the record, an integer | the same |
//! | `{text:r.record 0}`, `{bytes:r.record 0}` | the same of a text, of bytes | the same |
//! | `{each:t a WHERE …}` | a `LATERAL` select of `t`'s rows for each row before it | `t a WHERE …` |
//! | `{each or none:t a ON …}` | the same after a `LEFT JOIN` | `t a ON …` |
//! | `{by ids:$1 a=$2 b=$3}` | the row's key `(tenant, a, b)` is one of `$1`, `$2` and an id in `$3` | the same, by column |
//! | `{by texts:$1 a=$2 b=$3}` | the same of the texts in `$3` | the same |
//!
//! `{each:…}` follows a `CROSS JOIN`: the rows of `t` are looked up one by one, by an index, whatever the engine knows or
//! does not know yet of the tables' sizes. SQLite takes a cross join in its order by itself.
//!
//! `{by …}` is the condition of a statement that looks rows up by a list, with columns that are ids between the tenant and
//! the list's. PostgreSQL takes a tenant that it has no statistics of for one of two hundred: if it were told the tenant by
//! itself, it would rather go through all of the tenant's few rows than look each of the list up.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use parking_lot::RwLock;

use crate::database::Engine;

/// What has been translated, by where the program holds it: that says which text it is without reading it.
type Known = HashMap<(Engine, usize, usize), Arc<str>>;

/// A statement of the program's own text as `engine` reads it. It is translated once.
pub(crate) fn known(engine: Engine, sql: &'static str) -> Arc<str> {
    static KNOWN: LazyLock<RwLock<Known>> = LazyLock::new(RwLock::default);
    let place = (engine, sql.as_ptr() as usize, sql.len());
    if let Some(known) = KNOWN.read().get(&place) {
        return Arc::clone(known);
    }
    let text = translate(engine, sql);
    KNOWN.write().insert(place, Arc::clone(&text));
    text
}

/// The statement as `engine` reads it.
pub(crate) fn translate(engine: Engine, sql: &str) -> Arc<str> {
    let mut out = String::with_capacity(sql.len() + 32);
    let mut rest = sql;
    while let Some(at) = rest.find(['$', '{']) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        if rest.starts_with('$') {
            out.push(if engine == Engine::Sqlite { '?' } else { '$' });
            rest = &rest[1..];
        } else if let Some((token, after)) = rest[1..].split_once('}') {
            expand(engine, token, &mut out);
            rest = after;
        } else {
            break;
        }
    }
    out.push_str(rest);
    out.into()
}

fn expand(engine: Engine, token: &str, out: &mut String) {
    let sqlite = engine == Engine::Sqlite;
    let (name, parameter) = token.split_once(':').unwrap_or((token, ""));
    let number = parameter.trim_start_matches('$');
    let column = parameter.replacen(' ', " ->> ", 1);
    let text = match name {
        "blob" if sqlite => "BLOB".into(),
        "blob" => "BYTEA".into(),
        "rows by key" if sqlite => "WITHOUT ROWID".into(),
        "binary" if !sqlite => "COLLATE \"C\"".into(),
        "for update" if !sqlite && !parameter.is_empty() => format!("FOR UPDATE OF {parameter}"),
        "for update" if !sqlite => "FOR UPDATE".into(),
        "skip locked" if !sqlite => "FOR UPDATE SKIP LOCKED".into(),
        "list" if sqlite => "json_array".into(),
        "list" => "json_build_array".into(),
        "list of rows" if sqlite => "json_group_array".into(),
        "list of rows" => "json_agg".into(),
        "hex" if sqlite => format!("hex({parameter})"),
        "hex" => format!("encode({parameter}, 'hex')"),
        "by ids" | "by texts" => by(engine, &name[3..], parameter),
        "ids" if sqlite => format!("(SELECT unhex(value) AS value FROM json_each(?{number}))"),
        "ids" => format!(
            "(SELECT decode(item, 'hex') AS value FROM json_array_elements_text(${number}::text::json) AS items(item))"
        ),
        "texts" if sqlite => format!("(SELECT value FROM json_each(?{number}))"),
        "triples" if sqlite => {
            format!("(SELECT value ->> 0 AS a, value ->> 1 AS b, value ->> 2 AS c FROM json_each(?{number}))")
        }
        "triples" => format!(
            "(SELECT item ->> 0 AS a, item ->> 1 AS b, item ->> 2 AS c \
             FROM json_array_elements(${number}::text::json) AS items(item))"
        ),
        "records" if sqlite => format!("(SELECT value AS record FROM json_each(?{number}))"),
        "records" => {
            format!("(SELECT record FROM json_array_elements(${number}::text::json) AS items(record))")
        }
        "int" => format!("CAST({column} AS BIGINT)"),
        "text" => format!("({column})"),
        "bytes" if sqlite => format!("unhex({column})"),
        "bytes" => format!("decode({column}, 'hex')"),
        "each" | "each or none" if sqlite => translate(engine, parameter).to_string(),
        // The offset keeps it apart: the planner would take it for an ordinary join.
        "each" => {
            let alias = parameter.split(' ').nth(1).unwrap_or_default();
            format!("LATERAL (SELECT * FROM {parameter} OFFSET 0) AS {alias}")
        }
        "each or none" => {
            let (table, condition) = parameter.split_once(" ON ").unwrap_or((parameter, "true"));
            let alias = table.split(' ').nth(1).unwrap_or_default();
            format!("LATERAL (SELECT * FROM {table} WHERE {condition} OFFSET 0) AS {alias} ON true")
        }
        "texts" => format!("(SELECT value FROM json_array_elements_text(${number}::text::json) AS items(value))"),
        _ => String::new(),
    };
    out.push_str(&text);
}

/// The condition `{by …}`.
fn by(engine: Engine, kind: &str, parameter: &str) -> String {
    let (tenant, columns) = parameter.split_once(' ').unwrap_or((parameter, ""));
    let columns: Vec<_> = columns.split(' ').filter_map(|column| column.split_once('=')).collect();
    let Some(((listed, list), ids)) = columns.split_last() else { return String::new() };
    let of_table = listed.rsplit_once('.').map(|(table, _)| format!("{table}.")).unwrap_or_default();
    let list = translate(engine, &format!("{{{kind}:{list}}}"));
    let each = |part: fn((&str, &str)) -> String| ids.iter().copied().map(part).collect::<Vec<_>>().concat();
    if engine == Engine::Sqlite {
        let ids = each(|(column, value)| format!(" AND {column} = {value}"));
        return format!("{of_table}tenant = {tenant}{ids} AND {listed} IN {list}").replace('$', "?");
    }
    let names = each(|(column, _)| format!("{column}, "));
    let values = each(|(_, value)| format!("{value}::bytea, "));
    // The offset keeps it apart: the planner would see through to the tenant.
    format!(
        "({of_table}tenant, {names}{listed}) IN (SELECT {tenant}::text, {values}value FROM {list} AS keys OFFSET 0)"
    )
}

#[cfg(test)]
mod tests {
    use super::{known, translate};
    use crate::database::Engine;

    #[test]
    fn each_engine_reads_its_own_dialect() {
        let sql = "SELECT a FROM t WHERE b = $1 AND c IN {ids:$2} {for update}";
        for engine in [Engine::Sqlite, Engine::Postgres, Engine::Sqlite, Engine::Postgres] {
            assert_eq!(known(engine, sql), translate(engine, sql));
            assert_eq!(known(engine, &sql[..8]), translate(engine, "SELECT a"));
        }
        assert_eq!(
            &*translate(Engine::Sqlite, sql),
            "SELECT a FROM t WHERE b = ?1 AND c IN (SELECT unhex(value) AS value FROM json_each(?2)) "
        );
        let each = "FROM r CROSS JOIN {each:t a WHERE a.b = $1 AND a.c = r.c}";
        assert_eq!(&*translate(Engine::Sqlite, each), "FROM r CROSS JOIN t a WHERE a.b = ?1 AND a.c = r.c");
        assert_eq!(
            &*translate(Engine::Postgres, each),
            "FROM r CROSS JOIN LATERAL (SELECT * FROM t a WHERE a.b = $1 AND a.c = r.c OFFSET 0) AS a"
        );
        let or_none = "FROM r LEFT JOIN {each or none:t a ON a.b = $1 AND a.c = r.c} WHERE 1 = 1";
        assert_eq!(&*translate(Engine::Sqlite, or_none), "FROM r LEFT JOIN t a ON a.b = ?1 AND a.c = r.c WHERE 1 = 1");
        assert_eq!(
            &*translate(Engine::Postgres, or_none),
            "FROM r LEFT JOIN LATERAL (SELECT * FROM t a WHERE a.b = $1 AND a.c = r.c OFFSET 0) AS a ON true WHERE 1 = 1"
        );
        let by = "DELETE FROM t WHERE {by texts:$1 b=$2 c=$3}";
        assert!(
            translate(Engine::Postgres, "{by ids:$1 t.c=$2}").starts_with("(t.tenant, t.c) IN (SELECT $1::text, value")
        );
        assert!(translate(Engine::Sqlite, "{by ids:$1 t.c=$2}").starts_with("t.tenant = ?1 AND t.c IN (SELECT unhex"));
        assert_eq!(
            &*translate(Engine::Sqlite, by),
            "DELETE FROM t WHERE tenant = ?1 AND b = ?2 AND c IN (SELECT value FROM json_each(?3))"
        );
        let keys = translate(Engine::Postgres, by);
        assert!(keys.contains("(tenant, b, c) IN (SELECT $1::text, $2::bytea, value FROM (SELECT value FROM json_"));
        assert!(keys.ends_with("($3::text::json) AS items(value)) AS keys OFFSET 0)"), "{keys}");
        assert!(translate(Engine::Postgres, "SELECT {for update:w}").ends_with("FOR UPDATE OF w"));
        let postgres = translate(Engine::Postgres, sql);
        assert!(postgres.contains("b = $1") && postgres.contains("$2::text::json") && postgres.ends_with("FOR UPDATE"));
    }
}
