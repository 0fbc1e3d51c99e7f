//! Names of backends, made such that they are what they look like.

use std::collections::{HashMap, HashSet};

use super::Recorded;
use crate::plain::plain;
use crate::plan::{server_of, twin_of};

/// Stands for a name in which there is nothing to be seen.
const UNNAMED: &str = "(unnamed)";

/// Names that change, each with what it becomes. Those that were different stay so.
#[derive(Clone, Debug)]
pub struct PlainNames(HashMap<String, String>);

impl PlainNames {
    /// Of all files that are read together: a name becomes the same in each of them.
    pub fn of<'a>(files: impl Iterator<Item = &'a Recorded>) -> Self {
        let files: Vec<&Recorded> = files.collect();
        let runs = || files.iter().filter_map(|recorded| recorded.run.as_ref()).map(|run| &run.plan);
        let planned = runs().flat_map(|plan| plan.backends.iter().chain(&plan.twice).map(String::as_str));
        let foreign = runs().flat_map(|plan| plan.servers.iter().map(|server| server.name.as_str()));
        let trials = files.iter().flat_map(|recorded| &recorded.trials).map(|trial| server_of(&trial.backend));
        let mut known = HashSet::new();
        let all: Vec<&str> = planned.chain(foreign).chain(trials).filter(|name| known.insert(*name)).collect();
        // Who is what it looks like keeps its name, whoever came first.
        let (sound, others): (Vec<&str>, Vec<&str>) = all.into_iter().partition(|name| given(name) == **name);
        let mut taken: HashSet<String> = sound.into_iter().map(str::to_owned).collect();
        let mut numbered = |name: &str| {
            let first = given(name);
            let mut own = first.clone();
            let mut number = 2;
            // What looks like the twin of another would be taken for that.
            while server_of(&own) != own || !taken.insert(own.clone()) {
                own = format!("{first}-{number}");
                number += 1;
            }
            own
        };
        Self(others.into_iter().map(|name| (name.to_owned(), numbered(name))).collect())
    }

    /// Whether no name changes.
    #[must_use]
    pub fn are_all_as_they_were(&self) -> bool {
        self.0.is_empty()
    }

    /// Changes them wherever they stand.
    pub fn change_in(&self, recorded: &mut Recorded) {
        if self.are_all_as_they_were() {
            return;
        }
        if let Some(run) = &mut recorded.run {
            let servers = run.plan.servers.iter_mut().map(|server| &mut server.name);
            run.plan.backends.iter_mut().chain(&mut run.plan.twice).chain(servers).for_each(|name| self.change(name));
        }
        recorded.trials.iter_mut().for_each(|trial| self.change(&mut trial.backend));
    }

    fn change(&self, name: &mut String) {
        let server = server_of(name);
        if let Some(own) = self.0.get(server) {
            *name = if server == name { own.clone() } else { twin_of(own) };
        }
    }
}

fn given(name: &str) -> String {
    let plain = plain(name);
    match plain.trim() {
        "" => UNNAMED.to_owned(),
        name => name.to_owned(),
    }
}
