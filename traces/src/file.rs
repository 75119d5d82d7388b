//! A trace on disk: whole under its name, or not there at all.
//!
//! The lines go to a nameless-to-the-user temporary file in the same directory, which takes the trace's name
//! only when everything is written and synced. A run that is killed, or a disk that fills up, leaves the file
//! that was there before. (Who is killed leaves the temporary file, too: [`TraceFile::temporary`] says which.)
//!
//! A file is read whole, too, and so a device or a pipe is none: it may have no end.
//!
//! Compression is decided by the name alone: `.zst` means Zstandard. It uses one thread and one fixed level,
//! so that equal traces are equal files. Deliberately absent: appending, and other compressions.

use std::fs::{File, FileType};
use std::io::{self, BufWriter, Read, Write};
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
    fn open(path: &Path) -> io::Result<Self> {
        if let Some(file) = standard(path) {
            return Ok(Self::Special(file?));
        }
        Ok(match path.metadata() {
            Ok(found) if found.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
            Ok(found) if !found.is_file() => Self::Special(File::options().write(true).open(path)?),
            _ => Self::Temporary(temporary_beside(path)?),
        })
    }

    /// Gives what was written its name.
    fn commit(self, path: &Path) -> io::Result<()> {
        match self {
            Self::Temporary(file) => {
                // A file system may find out only now that it has no room.
                file.as_file().sync_all()?;
                file.persist(destination(path))?;
            }
            Self::Special(mut file) => file.flush()?,
        }
        Ok(())
    }

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
        let buffered = BufWriter::with_capacity(1 << 16, Target::open(path)?);
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

    /// Where the trace is until then, for who may have to end without a word; `None` if it goes to a device or a pipe.
    pub fn temporary(&self) -> Option<&Path> {
        let target = match &self.output {
            Output::Plain(out) => out.get_ref(),
            Output::Zstd(out) => out.get_ref().get_ref(),
        };
        match target {
            Target::Temporary(file) => Some(file.path()),
            Target::Special(_) => None,
        }
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
    buffered.into_inner()?.commit(path)
}

/// Writes a small file whole, as a trace is: what was there stays until everything is written.
///
/// # Errors
/// If it cannot be written; nothing is left behind then.
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut target = Target::open(path)?;
    target.write_all(bytes)?;
    target.commit(path)
}

/// All bytes of a file that has at most `most` of them.
///
/// # Errors
/// If it cannot be read, is longer, or is no file: a device or a pipe may have no end, and is not even opened.
pub fn read_whole(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let found = path.metadata()?;
    if found.is_dir() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "a directory, expected a file"));
    }
    if !found.is_file() {
        return Err(io::Error::other(format!("{}, expected a file", special(found.file_type()))));
    }
    let mut bytes = Vec::new();
    // What the system says of the length need not be so, under /proc for example.
    if found.len() <= most {
        File::open(path)?.take(most + 1).read_to_end(&mut bytes)?;
    }
    if found.len() > most || bytes.len() as u64 > most {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("more than {most} bytes")));
    }
    Ok(bytes)
}

/// A stream that the process has already, by the names it goes by. To open a pipe by name would wait for a reader, who
/// may have gone for ever; and a file behind the stream would lose what else was written to it.
#[cfg(unix)]
fn standard(path: &Path) -> Option<io::Result<File>> {
    use std::os::fd::AsFd;
    let copy = match path.to_str()? {
        "/dev/stdout" | "/dev/fd/1" | "/proc/self/fd/1" => io::stdout().as_fd().try_clone_to_owned(),
        "/dev/stderr" | "/dev/fd/2" | "/proc/self/fd/2" => io::stderr().as_fd().try_clone_to_owned(),
        _ => return None,
    };
    Some(copy.map(File::from))
}

#[cfg(not(unix))]
const fn standard(_: &Path) -> Option<io::Result<File>> {
    None
}

/// What there is instead of a file.
#[cfg(unix)]
fn special(found: FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    if found.is_fifo() {
        "a pipe"
    } else if found.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}

#[cfg(not(unix))]
fn special(_: FileType) -> &'static str {
    "something else"
}

/// What the system said, without the temporary name that nobody asked for.
fn bare(error: io::Error) -> io::Error {
    match error.to_string().split_once(" at path ") {
        Some((said, _)) => io::Error::new(error.kind(), said.to_owned()),
        None => error,
    }
}

fn temporary_beside(path: &Path) -> io::Result<NamedTempFile> {
    let destination = destination(path);
    let directory = match destination.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".snowglobe-").suffix(".tmp");
    // By default only the owner may read a temporary file; this is an ordinary one, subject to the umask.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(directory).map_err(bare)
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
        assert!(file.temporary().unwrap().is_file());
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

    #[test]
    fn what_is_no_file_or_too_long_is_not_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        std::fs::write(&path, b"12345").unwrap();
        let sentence = |path: &Path, most| read_whole(path, most).unwrap_err().to_string();
        assert_eq!(read_whole(&path, 5).unwrap(), b"12345");
        assert_eq!(sentence(&path, 4), "more than 4 bytes");
        assert_eq!(sentence(directory.path(), 4), "a directory, expected a file");
        // A file of any length that takes no room on the disk, and is refused before it is read.
        File::create(&path).unwrap().set_len(1 << 40).unwrap();
        assert_eq!(sentence(&path, 1 << 32), "more than 4294967296 bytes");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_device_without_an_end_a_socket_and_a_pipe_without_a_writer_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let sentence = |path: &Path| read_whole(path, 4).unwrap_err().to_string();
        for device in ["/dev/zero", "/dev/full", "/dev/null"] {
            assert_eq!(sentence(Path::new(device)), "a device, expected a file");
        }
        let socket = directory.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        assert_eq!(sentence(&socket), "a socket, expected a file");
        let pipe = directory.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        assert_eq!(sentence(&pipe), "a pipe, expected a file");
        // Its length is said to be 0.
        assert_eq!(sentence(Path::new("/proc/self/status")), "more than 4 bytes");
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
