//! The contracts may only grow. A change is compared with what stood before all of it, not only before its last commit.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::packages;
use crate::stage::root;

/// Compares the contracts with those that others may already use.
pub(crate) fn breaking() -> Result<()> {
    let earlier = match earlier(&root())? {
        Earlier::Commit(commit) => commit,
        Earlier::None => {
            println!("no earlier contracts to compare with");
            return Ok(());
        }
        // Where a machine is given no more than one commit, the rest of the checks are worth their while.
        Earlier::NotHere => {
            println!(
                "NOT COMPARED: this clone holds one commit of a longer history, so whether it breaks a contract cannot be \
                 told. Deepen it, with `git fetch --deepen=1`, or better with `git fetch --unshallow --tags`."
            );
            return Ok(());
        }
    };
    println!("compared with {earlier}");
    let mut archive = Command::new("git")
        .args(["archive", "--format=tar", &earlier, "buf.yaml", "proto"])
        .current_dir(root())
        .stdout(Stdio::piped())
        .spawn()
        .context("starting git")?;
    let contracts = archive.stdout.take().context("git's output")?;
    let compared = Command::new(packages::buf()?)
        .args(["breaking", "--against", "-#format=tar"])
        .current_dir(root())
        .stdin(contracts)
        .status()
        .context("starting buf")?;
    ensure!(archive.wait()?.success(), "the contracts of {earlier} cannot be read");
    ensure!(compared.success(), "contracts broke: {compared}");
    Ok(())
}

/// What there is to compare with.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Earlier {
    /// A commit that has contracts.
    Commit(String),
    /// There were none before.
    None,
    /// What was before is not in this clone.
    NotHere,
}

/// The commit to compare with: where this history left a remote's main, else the last tag before it, else its parent.
fn earlier(repository: &Path) -> Result<Earlier> {
    let git = |arguments: &[&str]| -> Result<Option<String>> {
        let output = Command::new("git").args(arguments).current_dir(repository).output().context("starting git")?;
        let text = String::from_utf8(output.stdout)?.trim().to_owned();
        Ok((output.status.success() && !text.is_empty()).then_some(text))
    };
    let Some(head) = git(&["rev-parse", "--verify", "--quiet", "HEAD^{commit}"])? else { return Ok(Earlier::None) };
    // It names its parents also where the clone does not have them.
    let commit = git(&["cat-file", "commit", "HEAD"])?.unwrap_or_default();
    if !commit.lines().take_while(|line| !line.is_empty()).any(|line| line.starts_with("parent ")) {
        return Ok(Earlier::None);
    }
    let mains = git(&["for-each-ref", "--format=%(refname)", "refs/remotes/*/main", "refs/remotes/*/HEAD"])?;
    for main in mains.unwrap_or_default().lines() {
        // Once it is pushed, a remote's main says no more about what was there before.
        if let Some(base) = git(&["merge-base", "HEAD", main])?.filter(|base| *base != head) {
            return with_contracts(git, base);
        }
    }
    let tag = git(&["describe", "--tags", "--abbrev=0", "HEAD~1"])?;
    for before in tag.as_deref().into_iter().chain(["HEAD~1"]) {
        if let Some(commit) = git(&["rev-parse", "--verify", "--quiet", &format!("{before}^{{commit}}")])? {
            return with_contracts(git, commit);
        }
    }
    Ok(Earlier::NotHere)
}

/// The commit, if it has contracts.
fn with_contracts(git: impl Fn(&[&str]) -> Result<Option<String>>, commit: String) -> Result<Earlier> {
    let contracts = git(&["rev-parse", "--verify", "--quiet", &format!("{commit}:proto")])?;
    Ok(if contracts.is_some() { Earlier::Commit(commit) } else { Earlier::None })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn git(folder: &Path, arguments: &[&str]) -> Result<String> {
        let who = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"];
        let output = Command::new("git").args(who).args(arguments).current_dir(folder).output()?;
        ensure!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    /// Commits a file, and answers the commit.
    fn commit(folder: &Path, file: &str, text: &str) -> Result<String> {
        let file = folder.join(file);
        std::fs::create_dir_all(file.parent().context("a folder")?)?;
        std::fs::write(file, text)?;
        git(folder, &["add", "--all"])?;
        git(folder, &["commit", "--quiet", "--message", text])?;
        git(folder, &["rev-parse", "HEAD"])
    }

    /// A repository, and a place for clones of it.
    fn repository(folder: &Path) -> Result<std::path::PathBuf> {
        let origin = folder.join("origin");
        std::fs::create_dir(&origin)?;
        git(&origin, &["init", "--quiet", "--initial-branch=main"])?;
        Ok(origin)
    }

    fn clone(folder: &Path, name: &str, options: &[&str]) -> Result<std::path::PathBuf> {
        let url = format!("file://{}", folder.join("origin").display());
        git(folder, &[&["clone", "--quiet"], options, &[&*url, name]].concat())?;
        Ok(folder.join(name))
    }

    #[test]
    fn all_of_a_change_is_compared_with_what_was_there_before_it() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let origin = repository(folder.path())?;
        assert_eq!(earlier(&origin)?, Earlier::None, "nothing was ever committed");
        let first = commit(&origin, "proto/a.proto", "first")?;
        assert_eq!(earlier(&origin)?, Earlier::None, "the first");
        let second = commit(&origin, "proto/a.proto", "second")?;
        assert_eq!(earlier(&origin)?, Earlier::Commit(first.clone()), "the one before");

        let mine = clone(folder.path(), "mine", &[])?;
        assert_eq!(earlier(&mine)?, Earlier::Commit(first.clone()), "main itself");
        commit(&mine, "proto/a.proto", "third")?;
        commit(&mine, "proto/a.proto", "fourth")?;
        assert_eq!(earlier(&mine)?, Earlier::Commit(second.clone()), "where it left main");
        commit(&origin, "proto/b.proto", "meanwhile")?;
        git(&mine, &["fetch", "--quiet"])?;
        assert_eq!(earlier(&mine)?, Earlier::Commit(second), "main may have gone on");

        git(&origin, &["tag", "v1", &first])?;
        commit(&origin, "proto/b.proto", "and on")?;
        assert_eq!(earlier(&origin)?, Earlier::Commit(first.clone()), "the last release");
        git(&origin, &["tag", "v2"])?;
        assert_eq!(earlier(&origin)?, Earlier::Commit(first), "a release is compared with the one before");
        Ok(())
    }

    #[test]
    fn a_clone_that_lacks_what_was_before_says_so_and_one_that_lacks_nothing_does_not() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let origin = repository(folder.path())?;
        commit(&origin, "proto/a.proto", "first")?;
        for (name, options) in [("whole", &[][..]), ("shallow", &["--depth=1"])] {
            assert_eq!(earlier(&clone(folder.path(), name, options)?)?, Earlier::None, "there is one commit");
        }
        let second = commit(&origin, "proto/a.proto", "second")?;
        commit(&origin, "proto/a.proto", "third")?;
        let shallow = clone(folder.path(), "cut", &["--depth=1"])?;
        assert_eq!(earlier(&shallow)?, Earlier::NotHere);
        git(&shallow, &["fetch", "--quiet", "--deepen=1"])?;
        assert_eq!(earlier(&shallow)?, Earlier::Commit(second));
        Ok(())
    }

    #[test]
    fn a_folder_that_is_no_repository_and_one_without_contracts_have_no_earlier_ones() -> Result<()> {
        let folder = tempfile::tempdir()?;
        assert_eq!(earlier(folder.path())?, Earlier::None);
        let origin = repository(folder.path())?;
        commit(&origin, "readme", "first")?;
        commit(&origin, "proto/a.proto", "second")?;
        assert_eq!(earlier(&origin)?, Earlier::None);
        Ok(())
    }
}
