//! Fluent's own setting of role rules: where it is, and what its value says.

use domain::rules::{MalformedRules, Rules};
use serde::Deserialize;
use serde_json::Value;

use crate::fluent::{Client, Error as FluentError, Setting, SettingAt};
use crate::peers::RulesRead;

/// Where a tenant's setting of rules is. Fluent does not say in which context it belongs, so that can be chosen.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RulesSetting {
    /// Its name.
    pub setting: String,
    /// The type of its context.
    pub context: String,
    /// The id of its context.
    pub context_id: i32,
}

impl Default for RulesSetting {
    fn default() -> Self {
        Self {
            setting: "fc.connect.scim-connector.provisioning.pipeline.config".to_owned(),
            context: "ACCOUNT".to_owned(),
            context_id: 0,
        }
    }
}

impl RulesSetting {
    /// Reads the rules from Fluent. `known` is the id of the setting that those kept were read from. A setting that is
    /// malformed, or that Fluent does not show, is an answer too; a Fluent that does not answer is not.
    pub(crate) async fn read(&self, fluent: &Client, known: Option<&str>) -> Result<RulesRead, FluentError> {
        let Self { setting, context, context_id } = self.clone();
        let at = SettingAt { name: setting, context, context_id };
        match fluent.setting(&at, known).await {
            Ok(None) => Ok(RulesRead::Absent),
            Ok(Some(setting)) => Ok(judge(setting)),
            Err(FluentError::Permanent(refusal)) => {
                let code = refusal.code.map_or_else(|| "no code".to_owned(), |code| code.as_str().to_owned());
                Ok(RulesRead::Fault(format!("Fluent does not show the setting ({code}); may its user read settings?")))
            }
            Err(error) => Err(error),
        }
    }
}

/// Fluent's own page reads `value` and, where that is empty, `lobValue`; either may hold JSON or a text of JSON. Where
/// both hold something it must be the same: which is meant can't be known.
fn judge(setting: Setting) -> RulesRead {
    let Setting { id, text, json } = setting;
    let of_json = |json: Value| Rules::parse(&json.to_string());
    let fault = |place: &str, error: MalformedRules| RulesRead::Fault(format!("{place}: {error}"));
    let text = text.map(|text| Rules::parse(&text)).transpose();
    let json = json.map(of_json).transpose();
    match (text, json) {
        (Err(error), _) => fault("value", error),
        (_, Err(error)) => fault("lobValue", error),
        (Ok(None), Ok(None)) => RulesRead::Fault("neither value nor lobValue holds anything".to_owned()),
        (Ok(Some(text)), Ok(Some(json))) if text != json => {
            RulesRead::Fault("value and lobValue hold different rules".to_owned())
        }
        (Ok(Some(rules)), Ok(_)) | (Ok(None), Ok(Some(rules))) => RulesRead::Found { setting_id: id, rules },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn set(target: &str) -> Value {
        json!({"rules": [{"condition": {"type": "HAS_APP_ROLE", "appRole": "Colleague"},
            "action": {"type": "MAPPING_ROLE_ASSIGNMENT", "sourceAppRole": "Colleague", "targetRoles": [target]}}]})
    }

    fn judged(text: Option<&str>, json: Option<Value>) -> RulesRead {
        judge(Setting { id: "9".to_owned(), text: text.map(str::to_owned), json })
    }

    #[test]
    fn rules_are_found_in_either_place_and_as_json_or_text() {
        let (plain, quoted) = (set("STORE").to_string(), Value::from(set("STORE").to_string()).to_string());
        let found =
            RulesRead::Found { setting_id: "9".to_owned(), rules: Rules::parse(&plain).expect("they are well formed") };
        for read in [
            judged(Some(&plain), None),
            judged(Some(&quoted), None),
            judged(None, Some(set("STORE"))),
            judged(None, Some(Value::from(plain.clone()))),
            judged(Some(&plain), Some(set("STORE"))),
        ] {
            assert_eq!(read, found);
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let plain = set("STORE").to_string();
        let told = |read| if let RulesRead::Fault(fault) = read { fault } else { panic!("{read:?}") };
        assert_eq!(told(judged(None, None)), "neither value nor lobValue holds anything");
        assert_eq!(told(judged(Some(&plain), Some(set("OTHER")))), "value and lobValue hold different rules");
        assert_eq!(told(judged(Some("nonsense"), None)), "value: line 1, column 2: the text is not JSON");
        assert!(told(judged(None, Some(json!([])))).starts_with("lobValue: the set: it must be an object"));
    }
}
