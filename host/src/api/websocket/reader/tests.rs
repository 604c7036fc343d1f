//! Frames of clients, valid and not.

use tokio::io::AsyncWriteExt;

use super::*;
use crate::model::TenantName;
use crate::tenant::{Quota, Resource, TenantSettings};

const MASK: [u8; 4] = [7, 1, 255, 128];

/// Returns a frame of a client. `first` is its first byte.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..=125 => frame.push(0x80 | length as u8),
        length @ 126..=0xffff => {
            frame.push(0x80 | 126);
            frame.extend((length as u16).to_be_bytes());
        }
        length => {
            frame.push(0x80 | 127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend(MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

fn tenant(memory: u64) -> Arc<Tenant> {
    let quota = Quota { memory, ..Quota::unlimited() };
    let settings = TenantSettings { quota, ..TenantSettings::default() };
    Tenant::new(TenantName::default_tenant(), settings)
}

/// Returns the events in `bytes`, and the reason for their end.
async fn read_all(bytes: &[u8], limit: u64, memory: u64) -> (Vec<String>, String) {
    // The bytes arrive one by one.
    let (mut client, server) = tokio::io::duplex(1);
    let mut reader = MessageReader::new(server, tenant(memory), limit);
    let sent = bytes.to_vec();
    let sending = tokio::spawn(async move { client.write_all(&sent).await });

    let mut events = Vec::new();
    let end = loop {
        match reader.next().await {
            Ok(event) => events.push(describe(event)),
            Err(Closing::Gone) => break "gone".to_owned(),
            Err(Closing::Code { code, reason, .. }) => {
                break format!("{} {reason}", code as u16);
            }
        }
    };
    drop(reader);
    let _ = sending.await;
    (events, end)
}

fn describe(event: Event) -> String {
    match event {
        Event::Message(Message { kind, bytes, .. }) => {
            format!("{kind:?} {}", String::from_utf8_lossy(&bytes))
        }
        Event::Ping(payload) => format!("Ping {}", String::from_utf8_lossy(&payload)),
        Event::Pong => "Pong".into(),
        Event::Close => "Close".into(),
    }
}

async fn events(frames: &[Vec<u8>]) -> Vec<String> {
    let (events, end) = read_all(&frames.concat(), 1000, u64::MAX).await;
    assert_eq!(end, "gone");
    events
}

async fn refusal(bytes: &[u8]) -> String {
    let (events, end) = read_all(bytes, 1000, u64::MAX).await;
    assert_eq!(events, [""; 0], "{end}");
    end
}

#[tokio::test]
async fn messages_arrive_whole_or_in_frames() {
    assert_eq!(events(&[frame(0x81, b"abc")]).await, ["Text abc"]);
    assert_eq!(events(&[frame(0x82, b""), frame(0x81, b"")]).await, ["Binary ", "Text "]);
    let letters = "é€😀".as_bytes();
    for cut in 0..letters.len() {
        let (first, second) = letters.split_at(cut);
        let frames = [frame(0x01, first), frame(0x00, b""), frame(0x80, second)];
        assert_eq!(events(&frames).await, ["Text é€😀"], "cut at {cut}");
    }
    let long = vec![b'a'; 1000];
    assert_eq!(events(&[frame(0x81, &long)]).await[0].len(), "Text ".len() + 1000);
}

#[tokio::test]
async fn control_frames_come_between_the_frames_of_a_message() {
    let frames = [
        frame(0x01, b"a"),
        frame(0x89, b"there?"),
        frame(0x80, b"b"),
        frame(0x8a, b""),
        frame(0x88, &[3, 232]),
    ];
    assert_eq!(events(&frames).await, ["Ping there?", "Text ab", "Pong", "Close"]);
    let reason = [&[15, 160][..], b"done"].concat();
    assert_eq!(events(&[frame(0x88, &reason), frame(0x88, b"")]).await, ["Close", "Close"]);
}

#[tokio::test]
async fn violations_end_the_connection() {
    for (bytes, expected) in [
        (frame(0x80, b"a"), "1002 a message begins with a continuation"),
        ([frame(0x01, b"a"), frame(0x81, b"b")].concat(), "1002 a message begins within"),
        (vec![0x81, 0x01, b'a'], "1002 a frame of a client has no mask"),
        (frame(0x83, b""), "1002 a frame has an unknown opcode"),
        (frame(0xc1, b"a"), "1002 a frame uses an extension"),
        (frame(0x09, b""), "1002 a control frame"),
        (frame(0x88, &[3]), "1002 a close frame has half a code"),
        (frame(0x88, &[3, 237]), "1002 a close frame has a reserved code"),
        (frame(0x88, &[3, 232, 0xff]), "1007 a text is not UTF-8"),
        (frame(0x81, b"a\xff"), "1007 a text is not UTF-8"),
        (frame(0x81, b"\xc3"), "1007 a text is not UTF-8"),
        ([frame(0x01, b"a\xc3"), frame(0x80, b"")].concat(), "1007 a text is not UTF-8"),
        // The rest need not arrive.
        (frame(0x01, b"\xff"), "1007 a text is not UTF-8"),
    ] {
        let refused = refusal(&bytes).await;
        assert!(refused.starts_with(expected), "{bytes:?}: {refused}");
    }
    assert_eq!(refusal(&frame(0x81, b"abc")[..5]).await, "gone", "it is cut off");
}

#[tokio::test]
async fn a_message_is_bounded_before_it_arrives() {
    let head = &frame(0x82, &[0; 1001])[..8];
    assert_eq!(refusal(head).await, "1009 the message is too large");
    let in_frames = [frame(0x02, &[0; 600]), frame(0x80, &[0; 401])].concat();
    assert_eq!(refusal(&in_frames).await, "1009 the message is too large");
    let huge = [&[0x82, 0xff, 0x7f][..], &[0xff; 7], &MASK].concat();
    assert_eq!(refusal(&huge).await, "1009 the message is too large");
}

#[tokio::test]
async fn frames_are_bounded() {
    let mut bytes = frame(0x01, b"");
    bytes.extend(frame(0x00, b"").repeat(MAX_FRAMES as usize));
    let mut reader = MessageReader::new(&bytes[..], tenant(u64::MAX), 1000);
    let Err(Closing::Code { code, .. }) = reader.next().await else { panic!("it was read") };
    assert_eq!(code, CloseCode::TooLarge);

    let flood = frame(0x89, b"").repeat(MAX_CONTROL_FRAMES as usize + 1);
    let mut reader = MessageReader::new(&flood[..], tenant(u64::MAX), 1000);
    let end = loop {
        if let Err(end) = reader.next().await {
            break end;
        }
    };
    assert!(matches!(end, Closing::Code { code: CloseCode::Policy, .. }), "{end:?}");
}

#[tokio::test]
async fn the_memory_of_a_message_counts_as_it_arrives() {
    let tenant = tenant(100_000);
    let bytes = [frame(0x02, &[0; 60_000]), frame(0x80, &[0; 60_000])].concat();
    let mut reader = MessageReader::new(&bytes[..], tenant.clone(), 1 << 20);
    let Err(Closing::Code { code, error, .. }) = reader.next().await else {
        panic!("the quota is larger");
    };
    let quota = error.and_then(|error| error.quota);
    assert_eq!((code, quota), (CloseCode::TryLater, Some("memory")));
    assert!(tenant.used(Resource::Memory) > 80_000);
    drop(reader);
    assert_eq!(tenant.used(Resource::Memory), 0);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_takes_too_long_ends_the_connection() {
    let (mut client, server) = tokio::io::duplex(100);
    let mut reader = MessageReader::new(server, tenant(u64::MAX), 1000);
    let silence = tokio::time::timeout(10 * RECEIVE_TIMEOUT, reader.next()).await;
    assert!(silence.is_err(), "no message has begun");

    let began = tokio::time::Instant::now();
    client.write_all(&frame(0x81, b"abc")[..7]).await.unwrap();
    let Err(Closing::Code { code, .. }) = reader.next().await else { panic!("it is not whole") };
    assert_eq!(code, CloseCode::Policy);
    assert!(began.elapsed() >= RECEIVE_TIMEOUT);
}

#[tokio::test]
async fn an_event_that_is_not_awaited_to_its_end_is_not_lost() {
    let (mut client, server) = tokio::io::duplex(100);
    let mut reader = MessageReader::new(server, tenant(u64::MAX), 1000);
    let whole = frame(0x81, b"abc");
    for part in whole.chunks(2) {
        tokio::select! {
            biased;
            _ = reader.next() => panic!("it is not whole"),
            written = client.write_all(part) => written.unwrap(),
        }
    }
    assert!(matches!(reader.next().await, Ok(Event::Message(message)) if message.bytes == "abc"));
}
