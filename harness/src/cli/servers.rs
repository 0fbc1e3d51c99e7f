//! Foreign servers as they are asked for: `--server 'NAME=COMMAND'`, or `[[server]]` in a plan file.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;

use harness::foreign::ForeignServer;
use serde::{Deserialize, Deserializer, de};

use super::values::{Span, scalar};

/// A foreign server, as far as something was said about it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct ServerSettings {
    pub(crate) name: String,
    command: Words,
    version: Option<Words>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    directory: Option<PathBuf>,
    #[serde(default, deserialize_with = "scalar")]
    start_timeout: Option<Span<1>>,
}

impl FromStr for ServerSettings {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((name, command)) = text.split_once('=') else {
            return Err(format!("'{text}' is not NAME=COMMAND, such as 'other=./server --port {{port}}'"));
        };
        Ok(Self {
            name: name.trim().to_owned(),
            command: Words::split(command)?,
            version: None,
            env: BTreeMap::new(),
            directory: None,
            start_timeout: None,
        })
    }
}

/// What they come to: each can be started and told from the others.
pub(crate) fn plan(servers: &[ServerSettings]) -> Result<Vec<ForeignServer>, String> {
    let mut planned: Vec<ForeignServer> = Vec::new();
    for settings in servers {
        let server = settings.server();
        server.check()?;
        if planned.iter().any(|other| other.name == server.name) {
            return Err(format!("two servers are named '{}'; rename one of them", server.name));
        }
        planned.push(server);
    }
    Ok(planned)
}

impl ServerSettings {
    fn server(&self) -> ForeignServer {
        let start_timeout = self.start_timeout.map_or(ForeignServer::START_TIMEOUT, |span| span.0);
        ForeignServer {
            name: self.name.clone(),
            command: self.command.0.clone(),
            version: self.version.as_ref().map(|words| words.0.clone()),
            env: self.env.clone(),
            directory: self.directory.clone(),
            start_timeout_ns: u64::try_from(start_timeout.as_nanos()).expect("a span is at most a day long"),
        }
    }
}

/// Program and arguments: a list, or a text that is split as a shell would, which does nothing else of what a shell
/// does.
#[derive(Clone, Debug, PartialEq)]
struct Words(Vec<String>);

impl Words {
    fn split(text: &str) -> Result<Self, String> {
        let words = shlex::split(text).ok_or_else(|| format!("a quotation mark is missing in {text:?}"))?;
        Self::of(words)
    }

    fn of(words: Vec<String>) -> Result<Self, String> {
        if words.first().is_none_or(String::is_empty) {
            return Err("a command begins with the name of a program".to_owned());
        }
        Ok(Self(words))
    }
}

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "expected a command, or a list of its words")]
        enum Form {
            Text(String),
            List(Vec<String>),
        }

        let words = match Form::deserialize(deserializer)? {
            Form::Text(text) => Self::split(&text),
            Form::List(words) => Self::of(words),
        };
        words.map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_flag(text: &str) -> Result<Vec<ForeignServer>, String> {
        plan(&[text.parse()?])
    }

    fn from_file(text: &str) -> Result<Vec<ForeignServer>, String> {
        #[derive(Deserialize)]
        struct File {
            server: Vec<ServerSettings>,
        }
        plan(&toml::from_str::<File>(text).map_err(|error| error.message().to_owned())?.server)
    }

    #[test]
    fn a_command_is_split_as_a_shell_would_and_nothing_is_expanded() {
        let server = from_flag("a=sh -c 'echo \"$HOME\" x=1' {port} *").unwrap().remove(0);
        assert_eq!((server.name.as_str(), server.start_timeout_ns), ("a", 10_000_000_000));
        assert_eq!(server.command, ["sh", "-c", "echo \"$HOME\" x=1", "{port}", "*"]);
    }

    #[test]
    fn a_file_can_say_more() {
        let servers = from_file(
            "[[server]]\nname = 'a'\ncommand = 'sh {port}'\n\
             [[server]]\nname = 'b'\ncommand = ['sh', '-c', 'x y']\nversion = 'sh --version'\n\
             env = { PORT = '{port}' }\ndirectory = '/'\nstart-timeout = '30s'\n",
        );
        let servers = servers.unwrap();
        assert_eq!(servers[0], from_flag("a=sh {port}").unwrap()[0]);
        assert_eq!(servers[1].command, ["sh", "-c", "x y"]);
        assert_eq!(servers[1].version.as_deref().unwrap(), ["sh", "--version"]);
        assert_eq!((servers[1].env["PORT"].as_str(), servers[1].start_timeout_ns), ("{port}", 30_000_000_000));
    }

    #[test]
    fn mistakes_are_said() {
        for (text, expected) in [
            ("sh {port}", "is not NAME=COMMAND"),
            ("a=", "begins with the name of a program"),
            ("a='' {port}", "begins with the name of a program"),
            ("a=sh 'x {port}", "quotation mark is missing"),
            ("a=sh", "write {port}"),
            ("=sh {port}", "cannot be named"),
        ] {
            let error = from_flag(text).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
        let twice = "[[server]]\nname = 'a'\ncommand = 'sh {port}'\n";
        for (text, expected) in [
            (twice.repeat(2), "two servers are named 'a'"),
            (twice.replace("name", "nam"), "unknown field `nam`"),
            (twice.replace("'sh {port}'", "7"), "expected a command, or a list of its words"),
            (twice.replace("'sh {port}'", "[]"), "begins with the name of a program"),
            (twice.to_owned() + "start-timeout = 'soon'\n", "'soon' is not a duration"),
        ] {
            let error = from_file(&text).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }
}
