//! The layer on top: what a client's program calls, and what it makes of the answers. It knows nothing of messages.

use sim::{MILLIS, Nanos};

use super::service::{Call, Reply};

/// What clients call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Workload {
    /// Each takes 10 from the account, again and again.
    Account,
    /// The first puts 10, 20, ... into one key and reads it after each; the others do so with values of their own.
    PutsAndGets,
    /// The first puts, the others only get.
    Gets,
    /// Each appends to one of two lists.
    Appends,
    /// Some of everything.
    Mixed,
    /// Each inserts keys of its own.
    Inserts,
    /// Each puts a key of its own once, and then appends to it and gets it, as the tests of the MIT 6.5840 lab do.
    Lab,
    /// All append to one key and learn what was there, as another test of that lab does.
    LabOneKey,
    /// Each reads one key with its version and puts a value if the version is still the same.
    Versions,
    /// Each is a worker, who takes tasks from the master and reports them done.
    Tasks,
}

/// What a program does next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Next {
    Call(Call),
    /// Its own work, for so long.
    Work(Nanos),
    /// It waits for a call to return.
    Wait,
    Done,
}

/// How long a worker works on a task.
const WORK: Nanos = 30 * MILLIS;

/// The program of one client. The same under every seed: seeds vary what happens to it.
#[derive(Clone, Debug)]
pub(super) struct Application {
    workload: Workload,
    client: u32,
    life: u32,
    calls: u32,
    made: u32,
    /// Of a program that must know one answer before it can go on: what it knows.
    known: Known,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Known {
    Nothing,
    Asked,
    Version(u32),
    Task(u32),
    Worked(u32),
    AllDone,
}

impl Application {
    pub(super) const fn new(workload: Workload, client: u32, life: u32, calls: u32) -> Self {
        Self { workload, client, life, calls, made: 0, known: Known::Nothing }
    }

    /// How many of its calls it has not made yet.
    pub(super) fn left(&self) -> usize {
        match (self.workload, self.known) {
            (Workload::Tasks, Known::AllDone) => 0,
            (Workload::Tasks, _) => 1,
            _ => (self.calls - self.made) as usize,
        }
    }

    pub(super) fn next(&mut self) -> Next {
        match (self.workload, self.known) {
            (Workload::Tasks, Known::AllDone) => return Next::Done,
            (Workload::Tasks, Known::Task(task)) => {
                self.known = Known::Worked(task);
                return Next::Work(WORK);
            }
            (Workload::Tasks | Workload::Versions, Known::Asked) => return Next::Wait,
            (Workload::Tasks, _) => {}
            _ if self.made == self.calls => return Next::Done,
            _ => {}
        }
        self.made += 1;
        Next::Call(self.call())
    }

    /// A call returned with this reply, or without.
    pub(super) fn returned(&mut self, reply: Option<Reply>) {
        self.known = match reply {
            Some(Reply::Version(_, version)) => Known::Version(version),
            Some(Reply::Task(task)) => Known::Task(task),
            Some(Reply::AllDone) => Known::AllDone,
            _ => Known::Nothing,
        };
    }

    fn call(&mut self) -> Call {
        let (client, call) = (self.client, self.made);
        // Another life of a client has values of its own, so that judges can tell them apart.
        let value = u64::from(self.life) * 100_000 + u64::from(client) * 1_000 + u64::from(call) * 10;
        match self.workload {
            Workload::Account => Call::Deduct { amount: 10 },
            Workload::PutsAndGets if call.is_multiple_of(3) => Call::Get { key: 0 },
            Workload::Gets if client > 1 => Call::Get { key: 0 },
            Workload::PutsAndGets | Workload::Gets => Call::Put { key: 0, value },
            Workload::Appends => Call::Append { key: call % 2, value },
            Workload::Mixed => match (client + call) % 4 {
                0 => Call::Get { key: 0 },
                1 => Call::Put { key: 0, value },
                2 => Call::Append { key: 1, value },
                _ => Call::Deduct { amount: 10 },
            },
            Workload::Inserts => Call::Insert { key: value as u32, value },
            Workload::Lab if call == 1 => Call::Put { key: client, value },
            Workload::Lab if call.is_multiple_of(3) => Call::Get { key: client },
            Workload::Lab => Call::Append { key: client, value },
            Workload::LabOneKey => Call::Append { key: 0, value },
            Workload::Versions => match std::mem::replace(&mut self.known, Known::Asked) {
                Known::Version(version) => Call::PutVersion { key: 0, value: value as u32, version },
                _ => Call::GetVersion { key: 0 },
            },
            Workload::Tasks => match std::mem::replace(&mut self.known, Known::Asked) {
                Known::Worked(task) => Call::Report { task },
                _ => Call::Take,
            },
        }
    }
}
