//! What a run leaves behind, as far as its trace tells: which nodes are up, in which life, and what is in their files.
//!
//! Deliberately absent: what processes have in memory, which no line tells.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::format;
use crate::reader::{Kind, Trace};

/// How many bytes of a file's end are shown.
const SHOWN: usize = 60;

/// How a run leaves a node.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct NodeState {
    /// Its name.
    pub node: String,
    /// Whether it is up.
    pub up: bool,
    /// How often it had crashed.
    pub crashes: u64,
    /// Its files as it sees them, synced or not, by name.
    pub files: BTreeMap<String, File>,
}

/// A file at the end of a run.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum File {
    /// What the node wrote.
    Written {
        /// How many bytes.
        bytes: u64,
        /// The first 16 digits of their SHA-256.
        digest: String,
        /// The last of them, as a trace spells bytes.
        end: String,
    },
    /// A crash lost some of what was not synced, and a trace does not tell of which file.
    Unknown,
}

/// What a file holds; `None` if that is not known.
type Content = Option<Vec<u8>>;

impl NodeState {
    /// Of every node, in the order of the header.
    pub(super) fn of_all(trace: &Trace) -> Vec<Self> {
        #[derive(Deserialize)]
        struct Line {
            name: String,
            action: String,
            #[serde(default)]
            payload: String,
        }
        let nodes = &trace.header().nodes;
        let mut states: Vec<Self> = nodes
            .iter()
            .map(|node| Self { node: node.clone(), up: false, crashes: 0, files: BTreeMap::new() })
            .collect();
        let mut disks: Vec<BTreeMap<String, Content>> = vec![BTreeMap::new(); nodes.len()];
        for event in trace.events() {
            let state = &mut states[event.node];
            match event.kind {
                Kind::Boot => state.up = true,
                Kind::Crash => {
                    state.up = false;
                    state.crashes += 1;
                }
                Kind::Disk => {
                    let Ok(Line { name, action, payload }) = event.parse() else { continue };
                    let disk = &mut disks[event.node];
                    match &*action {
                        "write" => drop(disk.insert(name, format::disk_bytes(&payload))),
                        "append" => {
                            let file = disk.entry(name).or_insert_with(|| Some(Vec::new()));
                            match (file.as_mut(), format::disk_bytes(&payload)) {
                                (Some(bytes), Some(more)) => bytes.extend_from_slice(&more),
                                _ => *file = None,
                            }
                        }
                        "remove" => drop(disk.remove(&name)),
                        "lost" => disk.values_mut().for_each(|content| *content = None),
                        _ => {}
                    }
                }
                _ => {}
            }
        }
        for (state, disk) in states.iter_mut().zip(disks) {
            state.files = disk.into_iter().map(|(name, content)| (name, File::of(content))).collect();
        }
        states
    }
}

impl File {
    fn of(content: Content) -> Self {
        let Some(bytes) = content else { return Self::Unknown };
        let mut from = bytes.len().saturating_sub(SHOWN);
        // Not in the middle of a character.
        while bytes.get(from).is_some_and(|byte| byte & 0xc0 == 0x80) {
            from += 1;
        }
        let mut end = Vec::new();
        format::bytes(&mut end, &bytes[from..]);
        let mut digest = format!("{:x}", Sha256::digest(&bytes));
        digest.truncate(16);
        let end = String::from_utf8(end).expect("a spelling is UTF-8");
        Self::Written { bytes: bytes.len() as u64, digest, end }
    }
}

impl Display for NodeState {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let up = if self.up { "up" } else { "down" };
        write!(f, "{} {up}, {} crashes", self.node, self.crashes)?;
        for (name, file) in &self.files {
            match file {
                File::Written { bytes, end, .. } => {
                    let cut = if *bytes > SHOWN as u64 { "..." } else { "" };
                    write!(f, "; {name} of {bytes} bytes: {cut}{end}")?;
                }
                File::Unknown => write!(f, "; {name}: unknown after a crash")?,
            }
        }
        Ok(())
    }
}
