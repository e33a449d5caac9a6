//! Where a run took place: without it no figure means anything.

use std::fs;

use serde::Serialize;

/// The machine, the programs and what else was going on.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Environment {
    pub cores: usize,
    pub cpu: String,
    pub system: String,
    /// Processes that wanted a core in the last minute, before the run; `None` where the system does not say.
    pub load_average_before: Option<f64>,
    /// The frequency governor of the first core; `None` where the system does not say, as on most virtual machines.
    pub governor: Option<String>,
    pub memory_mib: Option<u64>,
    pub commit: String,
    pub engine: String,
    pub tables: String,
    pub build: String,
}

impl Environment {
    /// `load_average_before` is taken when the run begins.
    pub fn here(engine: String, tables: String, load_average_before: Option<f64>) -> Self {
        let line = |path: &str| fs::read_to_string(path).ok().map(|text| text.trim().to_owned());
        let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let cpu = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':').map(|(_, name)| name.trim().to_owned()));
        let memory = fs::read_to_string("/proc/meminfo").ok();
        let total = |text: String| {
            text.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix("kB")?.trim().parse::<u64>().ok())
        };
        Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            cpu: cpu.unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
            system: format!("{} {}", std::env::consts::OS, line("/proc/sys/kernel/osrelease").unwrap_or_default()).trim().to_owned(),
            load_average_before,
            governor: line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
            memory_mib: memory.and_then(total).map(|kib| kib / 1_024),
            commit: env!("NAJDA_COMMIT").to_owned(),
            engine,
            tables,
            build: (if cfg!(debug_assertions) { "debug" } else { "release" }).to_owned(),
        }
    }

    /// One line for people.
    pub fn line(&self) -> String {
        let Self { cores, cpu, system, commit, build, .. } = self;
        let load = self.load_average_before.map_or(String::new(), |load| format!(", load average {load:.2} before"));
        let governor = self.governor.as_ref().map_or(String::new(), |governor| format!(", governor {governor}"));
        format!("{cores} cores, {cpu}, {system}{governor}{load}, commit {commit}, {build} build, both sides on one machine")
    }
}

/// Of the last minute.
pub fn load_average() -> Option<f64> {
    fs::read_to_string("/proc/loadavg").ok()?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_names_the_machine_and_the_commit() {
        let environment = Environment::here("najda".into(), "uae 1".into(), load_average());
        assert!(environment.cores > 0 && !environment.cpu.is_empty() && !environment.commit.is_empty());
        assert!(environment.line().contains(&environment.commit) && environment.load_average_before.is_none_or(|load| load >= 0.0));
    }
}
