//! The files of a job, passed to the compile process as open descriptors. The process reads the
//! opened file even if its name now refers to another.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

/// A component and its sidecars; the kernel allows 253.
const MAX_FILES: usize = 100;

/// The payload of the message: descriptors cannot be sent alone.
const MARK: &[u8] = b"f";

/// Sends the files. Fails if there are more than [`MAX_FILES`] or if the socket fails.
pub(super) fn send(socket: impl AsFd, files: &[File]) -> io::Result<()> {
    let descriptors: Vec<BorrowedFd<'_>> = files.iter().map(AsFd::as_fd).collect();
    let mut space = control_buffer();
    let mut control = SendAncillaryBuffer::new(&mut space);
    if descriptors.len() > MAX_FILES || !control.push(SendAncillaryMessage::ScmRights(&descriptors))
    {
        return Err(io::Error::other(format!("a job cannot have {} files", files.len())));
    }

    sendmsg(socket, &[IoSlice::new(MARK)], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Receives the files of [`send`]. Fails if the socket fails.
pub(super) fn receive(socket: impl AsFd) -> io::Result<Vec<File>> {
    let mut mark = [0; MARK.len()];
    let mut space = control_buffer();
    let mut control = RecvAncillaryBuffer::new(&mut space);
    recvmsg(socket, &mut [IoSliceMut::new(&mut mark)], &mut control, RecvFlags::CMSG_CLOEXEC)?;

    let mut files = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            files.extend(descriptors.map(File::from));
        }
    }

    Ok(files)
}

fn control_buffer() -> Vec<MaybeUninit<u8>> {
    vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FILES))]
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn files_arrive_in_order_before_the_bytes_sent_after_them() {
        let (mut one, mut other) = UnixStream::pair().unwrap();
        let file = |text: &str| {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), text).unwrap();
            file.reopen().unwrap()
        };

        let texts: Vec<_> = (0..65).map(|number| number.to_string()).collect();
        let files: Vec<_> = texts.iter().map(|text| file(text)).collect();
        send(&one, &files).unwrap();
        one.write_all(b"job").unwrap();
        drop((files, one));

        let read = |mut file: File| {
            let mut text = String::new();
            file.read_to_string(&mut text).unwrap();
            text
        };

        let received: Vec<_> = receive(&other).unwrap().into_iter().map(read).collect();
        assert_eq!(received, texts);

        let mut rest = String::new();
        other.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "job");
    }
}
