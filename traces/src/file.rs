//! A trace on disk: whole under its name, or not there at all.
//!
//! The lines go to a nameless-to-the-user temporary file in the same directory, which takes the trace's name
//! only when everything is written and synced. A run that is killed, or a disk that fills up, leaves the file
//! that was there before.
//!
//! Compression is decided by the name alone: `.zst` means Zstandard. It uses one thread and one fixed level,
//! so that equal traces are equal files. Deliberately absent: appending, and other compressions.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;
use zstd::stream::write::Encoder;

use crate::error::WriteError;

/// At this level a trace shrinks to about a fifteenth, at several hundred megabytes a second.
const LEVEL: i32 = 3;

/// A file that a trace is being written to. [`TraceFile::commit`] gives it its name; dropped without, it
/// leaves nothing behind.
#[must_use = "without `commit` the file vanishes"]
#[derive(Debug)]
pub struct TraceFile {
    path: PathBuf,
    output: Output,
}

/// The bytes are buffered where they leave for the file, that is after compression.
enum Output {
    Plain(BufWriter<Target>),
    Zstd(Encoder<'static, BufWriter<Target>>),
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Plain(_) => "Plain",
            Self::Zstd(_) => "Zstd",
        })
    }
}

enum Target {
    /// To be renamed.
    Temporary(NamedTempFile),
    /// A device or a pipe, such as `/dev/stdout`: renaming would replace it by a file.
    Special(File),
}

impl Target {
    fn file(&mut self) -> &mut File {
        match self {
            Self::Temporary(file) => file.as_file_mut(),
            Self::Special(file) => file,
        }
    }
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file().flush()
    }
}

impl TraceFile {
    /// Begins a trace that will be at `path`. What is there now stays until [`TraceFile::commit`].
    ///
    /// # Errors
    /// If the directory does not exist or cannot be written to, or if `path` is a directory.
    pub fn create(path: impl AsRef<Path>) -> Result<Self, WriteError> {
        let path = path.as_ref().to_path_buf();
        match Self::open(&path) {
            Ok(output) => Ok(Self { path, output }),
            Err(source) => Err(WriteError::Create { path, source }),
        }
    }

    fn open(path: &Path) -> io::Result<Output> {
        let target = match path.metadata() {
            Ok(found) if found.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
            Ok(found) if !found.is_file() => Target::Special(File::options().write(true).open(path)?),
            _ => Target::Temporary(temporary_beside(path)?),
        };
        let buffered = BufWriter::with_capacity(1 << 16, target);
        if !is_compressed(path) {
            return Ok(Output::Plain(buffered));
        }
        let mut encoder = Encoder::new(buffered, LEVEL)?;
        // zstd's own checksum is of the content, and tells a damaged file from a changed one.
        encoder.include_checksum(true)?;
        Ok(Output::Zstd(encoder))
    }

    /// Where the trace will be.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the file durable and gives it its name.
    ///
    /// # Errors
    /// If the rest of it cannot be written, for example because the disk is full. Nothing is left behind.
    pub fn commit(self) -> Result<(), WriteError> {
        let Self { path, output } = self;
        commit(&path, output).map_err(|source| WriteError::Commit { path, source })
    }
}

fn commit(path: &Path, output: Output) -> io::Result<()> {
    let buffered = match output {
        Output::Plain(buffered) => buffered,
        Output::Zstd(encoder) => encoder.finish()?,
    };
    match buffered.into_inner()? {
        Target::Temporary(file) => {
            // A file system may find out only now that it has no room.
            file.as_file().sync_all()?;
            file.persist(destination(path))?;
        }
        Target::Special(mut file) => file.flush()?,
    }
    Ok(())
}

/// Whether a file of this name is compressed.
pub(crate) fn is_compressed(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "zst")
}

/// Where a name leads when something is written under it: a symbolic link stays, and what it points to is replaced.
///
/// A link to nothing is followed by one step, so that what it names comes to be.
pub fn destination(path: &Path) -> PathBuf {
    let linked = || Some(path.parent()?.join(path.read_link().ok()?));
    path.canonicalize().ok().or_else(linked).unwrap_or_else(|| path.to_path_buf())
}

fn temporary_beside(path: &Path) -> io::Result<NamedTempFile> {
    let destination = destination(path);
    let directory = match destination.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".trace-").suffix(".tmp");
    // By default only the owner may read a temporary file; a trace is an ordinary one, subject to the umask.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(directory)
}

impl Write for TraceFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.output {
            Output::Plain(out) => out.write(bytes),
            Output::Zstd(out) => out.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.output {
            Output::Plain(out) => out.flush(),
            Output::Zstd(out) => out.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<_> = directory
            .read_dir()
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn the_name_appears_only_at_the_end_and_old_content_stays_until_then() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("run.jsonl");
        std::fs::write(&path, "before").unwrap();
        let mut file = TraceFile::create(&path).unwrap();
        file.write_all(b"after").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"before");
        file.commit().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"after");
        assert_eq!(names(directory.path()), ["run.jsonl"]);
    }

    #[test]
    fn a_file_that_is_not_committed_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let mut file = TraceFile::create(directory.path().join("run.jsonl.zst")).unwrap();
        file.write_all(b"half").unwrap();
        drop(file);
        assert!(names(directory.path()).is_empty());
    }

    #[test]
    fn equal_content_gives_equal_compressed_files() {
        let directory = tempfile::tempdir().unwrap();
        let content = b"{\"t\":0}\n".repeat(10_000);
        let write = |name: &str, chunk: usize| {
            let path = directory.path().join(name);
            let mut file = TraceFile::create(&path).unwrap();
            for part in content.chunks(chunk) {
                file.write_all(part).unwrap();
            }
            file.commit().unwrap();
            std::fs::read(path).unwrap()
        };
        let whole = write("a.zst", content.len());
        assert_eq!(whole, write("b.zst", content.len()));
        assert_eq!(zstd::decode_all(&write("c.zst", 777)[..]).unwrap(), content);
        assert!(whole.len() < content.len() / 100);
    }

    #[test]
    fn a_directory_and_a_missing_directory_are_errors() {
        let directory = tempfile::tempdir().unwrap();
        let error = TraceFile::create(directory.path()).unwrap_err().to_string();
        assert!(error.contains("cannot be created"), "{error}");
        let error = TraceFile::create(directory.path().join("no/such.jsonl")).unwrap_err().to_string();
        assert!(error.contains("no/such.jsonl"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn a_symbolic_link_stays_and_an_ordinary_user_may_read_the_file() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let (real, link) = (directory.path().join("real"), directory.path().join("link"));
        std::fs::write(&real, "").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let mut file = TraceFile::create(&link).unwrap();
        file.write_all(b"new").unwrap();
        file.commit().unwrap();
        assert_eq!(std::fs::read(&real).unwrap(), b"new");
        assert!(link.is_symlink());
        let plain = directory.path().join("plain");
        std::fs::write(&plain, "").unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode();
        assert_eq!(mode(&real), mode(&plain));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_an_error_at_the_latest_at_commit() {
        let mut file = TraceFile::create("/dev/full").unwrap();
        file.write_all(b"does not fit").unwrap();
        let error = file.commit().unwrap_err().to_string();
        assert!(error.contains("/dev/full") && error.contains("No space"), "{error}");
    }
}
