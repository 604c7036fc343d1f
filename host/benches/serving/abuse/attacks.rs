//! The attacks, each with its configuration.

use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Result;

use super::server::AttackedServer;
use super::{connections, files, work};

/// An attack of one tenant on the server.
pub(crate) struct Attack {
    /// Its name in the table.
    pub(super) name: &'static str,
    /// Its method in one line.
    pub(super) summary: &'static str,
    /// Keys of `wardian.toml` beyond the tenants.
    pub(super) server: &'static str,
    /// Keys of the attacker's table.
    pub(super) tenant: &'static str,
    /// True if the log of the server is read.
    pub(super) reads_log: bool,
    /// Starts it.
    pub(super) start: fn(&AttackedServer) -> Result<RunningAttack>,
}

/// All attacks, in the order in which they are measured.
pub(super) static ATTACKS: &[Attack] = &[
    Attack {
        name: "log",
        summary: "calls that log, while the log of the server is not read",
        reads_log: false,
        ..attack(connections::log)
    },
    Attack {
        name: "unread",
        summary: "connections that ask for /openapi.json without end and read nothing",
        server: "[http]\nmax_connections = 50",
        ..attack(connections::unread)
    },
    Attack {
        name: "pipelined",
        summary: "connections that ask for /openapi.json without end and read",
        ..attack(connections::pipelined)
    },
    Attack {
        name: "answers",
        summary: "responses of 8 MiB that are not read",
        tenant: "quota = { concurrency = 64, memory = \"64MiB\", instances = 4 }",
        ..attack(connections::answers)
    },
    Attack {
        name: "bodies",
        summary: "three request bodies of 600 MB that never end",
        tenant: "quota = { concurrency = 4, memory = \"64MiB\" }",
        ..attack(connections::bodies)
    },
    Attack {
        name: "folders",
        summary: "10,000 version folders with broken components",
        tenant: "quota = { models = 3 }",
        ..attack(files::folders)
    },
    Attack {
        name: "loads",
        summary: "twelve versions whose load sleeps for ten minutes",
        ..attack(files::loads)
    },
    Attack {
        name: "artifacts",
        summary: "uploads of small components whose compiled form has 120 MiB",
        tenant: "quota = { storage = \"10MB\" }",
        ..attack(files::artifacts)
    },
    Attack {
        name: "sidecars",
        summary: "sparse sidecars of 4 GiB, touched every 3 s",
        ..attack(files::sidecars)
    },
    Attack {
        name: "gzip",
        summary: "24 connections of small gzip bodies that become 16 MiB of wrong JSON",
        ..attack(work::gzip)
    },
    Attack {
        name: "statements",
        summary: "six connections of SQL whose single functions take seconds",
        ..attack(work::statements)
    },
    Attack {
        name: "compiling",
        summary: "components that take long to compile, again and again",
        ..attack(work::compiling)
    },
    Attack {
        name: "spinning",
        summary: "64 calls that compute without end",
        ..attack(work::spinning)
    },
    Attack {
        name: "instances",
        summary: "250 sleeping calls of a component with eight core instances",
        ..attack(work::instances)
    },
];

/// An attack without configuration of its own.
const fn attack(begin: fn(&AttackedServer) -> Result<RunningAttack>) -> Attack {
    Attack { name: "", summary: "", server: "", tenant: "", reads_log: true, start: begin }
}

/// An attack under way. It stops on drop.
#[derive(Default)]
pub(super) struct RunningAttack {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    connections: Vec<TcpStream>,
}

impl RunningAttack {
    /// Keeps connections open.
    pub(super) fn holding(connections: Vec<TcpStream>) -> Self {
        RunningAttack { stop: Arc::default(), threads: Vec::new(), connections }
    }

    /// Repeats `act` on a number of threads.
    pub(super) fn repeat(
        mut self,
        threads: usize,
        act: impl Fn(usize) + Clone + Send + 'static,
    ) -> Self {
        for thread in 0..threads {
            let act = act.clone();
            let stop = self.stop.clone();
            self.threads.push(std::thread::spawn(move || {
                // A real attacker computes on other machines, so these threads must not take cores
                // from the server.
                wardian::tenant::set_idle_priority();
                while !stop.load(Ordering::Relaxed) {
                    act(thread);
                }
            }));
        }
        self
    }

    /// Waits until the attack has an effect.
    pub(super) fn wait(self, time: Duration) -> Self {
        std::thread::sleep(time);
        self
    }
}

impl Drop for RunningAttack {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.connections.clear();
        // A panic of an attacking thread is no fault of the server.
        self.threads.drain(..).for_each(|thread| drop(thread.join()));
    }
}
