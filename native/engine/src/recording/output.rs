//! What a handler prints, kept with its call.

use pycrust_protocol::limits::fitting;
use pycrust_transport::sync::Mutex;

use crate::recording::secrets::Secrets;

/// Bytes of output that are kept of one call.
const MAX_BYTES: usize = 256 << 10;
/// Pieces of output that are kept of one call.
const MAX_PIECES: usize = 4096;

/// Where a piece of output comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Channel {
    /// Standard output.
    Stdout = 1,
    /// Standard error.
    Stderr = 2,
    /// Something that a notebook would display, as JSON.
    Display = 3,
    /// The traceback of what the handler raised, where its caller does not get it.
    Traceback = 4,
}

impl Channel {
    /// What it is called where calls are told.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
            Self::Display => "display",
            Self::Traceback => "traceback",
        }
    }
}

/// The output of one call. It may be written to after the call has ended, by what it started.
#[derive(Debug, Default)]
pub struct Output {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    pieces: Vec<(Channel, String)>,
    bytes: usize,
    /// Bytes that had no room.
    lost: usize,
    /// Nothing more is kept.
    closed: bool,
}

impl Output {
    /// Adds a piece, as far as there is room.
    pub fn write(&self, channel: Channel, text: &str) {
        let mut kept = self.kept.lock();
        let room = if kept.closed { 0 } else { MAX_BYTES - kept.bytes };
        // Half of a display is of no use.
        let take =
            if channel == Channel::Display && text.len() > room { 0 } else { fitting(text, room).len() };
        kept.lost += text.len() - take;
        kept.bytes += take;
        if take == 0 {
            return;
        }
        let piece = &text[..take];
        let full = kept.pieces.len() >= MAX_PIECES;
        match kept.pieces.last_mut() {
            Some((last, before)) if *last == channel && channel != Channel::Display => before.push_str(piece),
            _ if full => kept.lost += take,
            _ => kept.pieces.push((channel, piece.to_owned())),
        }
    }

    /// Bytes that are kept.
    pub(crate) fn bytes(&self) -> usize {
        self.kept.lock().bytes
    }

    /// Takes out what repeats a secret. What is written from now on is not kept: it could repeat one, too.
    pub(crate) fn scrub(&self, secrets: &Secrets) {
        let mut kept = self.kept.lock();
        for (_, text) in &mut kept.pieces {
            if let Some(hidden) = secrets.hidden(text) {
                *text = hidden;
            }
        }
        kept.closed = !secrets.is_empty();
    }

    /// What was kept, in order, and how many bytes had no room.
    pub fn read(&self) -> (Vec<(Channel, String)>, usize) {
        let kept = self.kept.lock();
        (kept.pieces.clone(), kept.lost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_joined_in_order_and_bounded() {
        let output = Output::default();
        output.write(Channel::Stdout, "a");
        output.write(Channel::Stdout, "b\n");
        output.write(Channel::Stderr, "c");
        output.write(Channel::Stdout, &"é".repeat(MAX_BYTES));
        output.write(Channel::Display, "{}");
        let (pieces, lost) = output.read();
        let heads: Vec<_> = pieces.iter().map(|(channel, text)| (*channel, text.chars().next())).collect();
        assert_eq!(
            heads,
            [(Channel::Stdout, Some('a')), (Channel::Stderr, Some('c')), (Channel::Stdout, Some('é'))]
        );
        assert_eq!(pieces.iter().map(|(_, text)| text.len()).sum::<usize>() + lost, 4 + 2 * MAX_BYTES + 2);
    }
}
