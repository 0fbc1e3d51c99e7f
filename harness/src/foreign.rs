//! Servers that are not ours: programs that enter a sweep beside the backends.

use std::collections::BTreeMap;
use std::env;
use std::fs::File;
use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Access, access};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::guard::Program;

/// How to start a program that listens on a port. What stands between braces is put in when it is started: `{host}`,
/// `{port}` and `{threads}`; any other brace is one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ForeignServer {
    /// Stands for it wherever a backend's name would.
    pub name: String,
    /// Program and arguments. No shell reads them.
    pub command: Vec<String>,
    /// Program and arguments whose first line of output says what the server is.
    pub version: Option<Vec<String>>,
    /// Set besides the environment of the sweep.
    pub env: BTreeMap<String, String>,
    /// Where it is started; where the sweep is, if nothing is said.
    pub directory: Option<PathBuf>,
    /// How long it may take until it accepts connections.
    pub start_timeout_ns: u64,
}

impl ForeignServer {
    /// For a server to accept connections, where nothing else is said.
    pub const START_TIMEOUT: Duration = Duration::from_secs(10);

    /// Whether it can be told apart and started, as far as can be seen without starting it.
    ///
    /// # Errors
    ///
    /// What is wrong, and what would be right.
    pub fn check(&self) -> Result<(), String> {
        let name = &self.name;
        let fits = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name == "none" || !name.starts_with(char::is_alphanumeric) || !name.chars().all(fits) {
            return Err(format!(
                "a server cannot be named {name:?}; use letters, digits, '-', '_' and '.', and begin with one of the first two"
            ));
        }
        if backends::backend(name).is_some() {
            return Err(format!("a server cannot be named '{name}': there is a backend of that name"));
        }
        if !self.command.iter().chain(self.env.values()).any(|text| text.contains("{port}")) {
            return Err(format!(
                "server '{name}' does not learn its port; write {{port}} where its command expects it"
            ));
        }
        let texts = self.command.iter().chain(self.version.iter().flatten());
        let variables = self.env.iter().flat_map(|(variable, value)| [variable, value]);
        if texts.chain(variables).any(|text| text.contains('\0')) {
            return Err(format!("server '{name}': a NUL cannot be given to a program"));
        }
        if let Some(variable) = self.env.keys().find(|variable| variable.is_empty() || variable.contains('=')) {
            return Err(format!("server '{name}': no variable can be named '{variable}'"));
        }
        if let Some(directory) = self.directory.as_ref().filter(|directory| !directory.is_dir()) {
            return Err(format!("server '{name}': there is no directory {}", directory.display()));
        }
        let program = self.command.first().map_or("", String::as_str);
        if program.is_empty() {
            return Err(format!("server '{name}' has no command"));
        }
        self.check_program(program).map_err(|what| format!("server '{name}': {what}"))
    }

    /// What starts it, listening on `address`, with `threads` threads where it can be told.
    #[must_use]
    pub fn program(&self, address: SocketAddr, threads: usize) -> Program {
        let filled = |text: &String| {
            let text = text.replace("{host}", &address.ip().to_string()).replace("{port}", &address.port().to_string());
            text.replace("{threads}", &threads.to_string())
        };
        Program {
            words: self.command.iter().map(filled).collect(),
            env: self.env.iter().map(|(name, value)| (name.clone(), filled(value))).collect(),
            directory: self.directory.clone(),
            keeps_output: false,
        }
    }

    /// What says its version.
    #[must_use]
    pub fn version_program(&self) -> Option<Program> {
        let words = self.version.clone()?;
        Some(Program { words, env: self.env.clone(), directory: self.directory.clone(), keeps_output: true })
    }

    /// How long it may take until it accepts connections.
    #[must_use]
    pub fn start_timeout(&self) -> Duration {
        Duration::from_nanos(self.start_timeout_ns)
    }

    /// Looks where the kernel and the C library will.
    fn check_program(&self, program: &str) -> Result<(), String> {
        let from = self.directory.as_deref().unwrap_or(Path::new("."));
        if program.contains('/') {
            let path = from.join(program);
            if !path.exists() {
                let beside = match &self.directory {
                    Some(directory) if Path::new(program).is_relative() => {
                        format!(" in its directory {}", directory.display())
                    }
                    _ => String::new(),
                };
                return Err(format!(
                    "there is no program '{program}'{beside}; build or install it, or correct its path"
                ));
            }
            return check_file(program, &path);
        }
        let path = self.env.get("PATH").map(Into::into).or_else(|| env::var_os("PATH")).unwrap_or_default();
        let files: Vec<PathBuf> = env::split_paths(&path).map(|folder| from.join(folder).join(program)).collect();
        if let Some(found) = files.iter().find(|path| is_executable(path)) {
            return check_file(program, found);
        }
        match files.iter().find(|path| path.is_file()) {
            Some(found) => check_file(&found.display().to_string(), found),
            None if from.join(program).is_file() => {
                Err(format!("there is no program '{program}' in PATH; write './{program}' for the one that is here"))
            }
            None => Err(format!("there is no program '{program}' in PATH; install it, or give its path")),
        }
    }
}

/// Whether a file that is there can be started; not whether it is built for this machine, where another may run it.
fn check_file(name: &str, path: &Path) -> Result<(), String> {
    if path.is_dir() {
        return Err(format!("'{name}' is a directory; name the program in it"));
    }
    if !is_executable(path) {
        return Err(format!(
            "'{name}' is not executable; make it so (chmod +x '{name}'), or name its interpreter first"
        ));
    }
    match interpreter(path) {
        Some(interpreter) if !Path::new(&interpreter).exists() => {
            let has_cr = interpreter.ends_with('\r');
            let interpreter = interpreter.trim_end();
            let why =
                if has_cr { ", with a carriage return behind it; save the file with line ends of Unix" } else { "" };
            Err(format!("'{name}' asks for the interpreter '{interpreter}', which is not there{why}"))
        }
        _ => Ok(()),
    }
}

/// What the first line of a script names, execve(2).
fn interpreter(path: &Path) -> Option<String> {
    let mut begins = [0; 256];
    let read = File::open(path).and_then(|mut file| file.read(&mut begins)).ok()?;
    let line = begins[..read].strip_prefix(b"#!")?.split(|&byte| byte == b'\n').next()?;
    let line = String::from_utf8_lossy(line);
    let name = line.trim_start_matches([' ', '\t']).split([' ', '\t']).next()?;
    (!name.is_empty()).then(|| name.to_owned())
}

fn is_executable(path: &Path) -> bool {
    path.is_file() && access(path, Access::EXEC_OK).is_ok()
}

#[cfg(test)]
pub(crate) mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    pub(crate) fn server(command: &[&str]) -> ForeignServer {
        ForeignServer {
            name: "other".to_owned(),
            command: command.iter().map(|&word| word.to_owned()).collect(),
            version: None,
            env: BTreeMap::new(),
            directory: None,
            start_timeout_ns: 1_000_000_000,
        }
    }

    #[test]
    fn braces_that_mean_nothing_stay() {
        let mut server = server(&["sh", "-c", "x() { echo {host}:{port} {protocol}; }", "{threads}{port}"]);
        server.env = [("PORT".to_owned(), "{port}".to_owned())].into();
        let program = server.program("127.0.0.1:9".parse().unwrap(), 4);
        assert_eq!(program.words, ["sh", "-c", "x() { echo 127.0.0.1:9 {protocol}; }", "49"]);
        assert_eq!(program.env["PORT"], "9");
    }

    #[test]
    fn what_can_be_told_without_starting_it_is() {
        let sound = server(&["sh", "{port}"]);
        assert_eq!(sound.check(), Ok(()));
        let by_variable = ForeignServer { env: [("PORT".into(), "{port}".into())].into(), ..server(&["sh"]) };
        assert_eq!(by_variable.check(), Ok(()));
        let plain = ForeignServer { name: "Node-20_b.1".into(), ..sound.clone() };
        assert_eq!(plain.check(), Ok(()));
        let named = |name: &str| ForeignServer { name: name.into(), ..sound.clone() };
        for (server, expected) in [
            (named(""), "cannot be named \"\""),
            (named("none"), "cannot be named \"none\""),
            (named("a#2"), "cannot be named \"a#2\""),
            (named("a,b"), "cannot be named"),
            (named("a/b"), "cannot be named"),
            (named("a;b"), "cannot be named"),
            (named("-x"), "cannot be named"),
            (named("../x"), "cannot be named"),
            (named("a\nb"), "cannot be named \"a\\nb\""),
            (named("epoll"), "there is a backend of that name"),
            (server(&["sh"]), "write {port}"),
            (server(&["", "{port}"]), "has no command"),
            (server(&["no-such-program", "{port}"]), "there is no program 'no-such-program'"),
            (server(&["./sh", "{port}"]), "there is no program './sh'"),
            (server(&["/", "{port}"]), "'/' is a directory; name the program in it"),
            (server(&["sh", "{port}\0"]), "NUL"),
            (ForeignServer { directory: Some("/absent".into()), ..sound.clone() }, "no directory /absent"),
            (ForeignServer { env: [("A=B".into(), String::new())].into(), ..sound.clone() }, "named 'A=B'"),
            (ForeignServer { env: [("PATH".into(), "/absent".into())].into(), ..sound.clone() }, "no program 'sh'"),
        ] {
            let error = server.check().unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
        let absent = ForeignServer { directory: Some("/bin".into()), ..server(&["./no-such", "{port}"]) };
        assert!(absent.check().unwrap_err().contains("no program './no-such' in its directory /bin;"));
        let elsewhere = ForeignServer { directory: Some("/bin".into()), ..server(&["./sh", "{port}"]) };
        assert_eq!(elsewhere.check(), Ok(()));
    }

    #[test]
    fn a_file_that_cannot_be_started_says_what_to_do() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("echo");
        let of = |command: &str, env: &[(&str, &str)]| {
            let env = env.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
            let server =
                ForeignServer { env, directory: Some(directory.path().into()), ..server(&[command, "{port}"]) };
            server.check()
        };
        let in_path = [("PATH", directory.path().to_str().unwrap())];
        let set = |text: &str, mode| {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        };
        set("#!/bin/sh\n", 0o644);
        assert!(of("./echo", &[]).unwrap_err().contains("'./echo' is not executable; make it so (chmod +x './echo')"));
        assert!(of("echo", &in_path).unwrap_err().contains("/echo' is not executable"));
        assert!(of("echo", &[("PATH", "/absent")]).unwrap_err().contains("write './echo' for the one that is here"));
        set("#!/bin/sh\n", 0o755);
        assert_eq!((of("./echo", &[]), of("echo", &in_path)), (Ok(()), Ok(())));
        set("#! /absent/python -u\n", 0o755);
        let absent = "'./echo' asks for the interpreter '/absent/python', which is not there";
        assert!(of("./echo", &[]).unwrap_err().ends_with(absent));
        set("#!/bin/sh\r\nexit\r\n", 0o755);
        assert!(of("./echo", &[]).unwrap_err().contains("'/bin/sh', which is not there, with a carriage return"));
    }
}
