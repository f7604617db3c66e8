//! The arrays of a call on their way out.
//!
//! An array that was built in place stays its owner's until a call with it is sent: a call that is dropped before,
//! that finds no worker, no room or no time, leaves it as it was. Then it goes with the frame.

use std::sync::Arc;

use pycrust_protocol::attachments::{ALIGNMENT, ENTRY_LEN};
use pycrust_transport::sync::Mutex;
use pycrust_transport::{Attachment, Piece, SendError, Source};

/// Where an array that is built in place is until it is sent; then it is gone.
#[derive(Debug, Clone)]
pub(crate) struct Home(Arc<Mutex<Option<Arc<Piece>>>>);

impl Home {
    pub(crate) fn new(piece: Piece) -> Self {
        Self(Arc::new(Mutex::new(Some(Arc::new(piece)))))
    }

    /// The array for a call, if it was not sent yet.
    pub(crate) fn array(&self) -> Option<Array> {
        let piece = self.0.lock().clone()?;
        Some(Array::Built(Built { home: self.clone(), piece }))
    }

    /// Whether it is there and in shared memory.
    pub(crate) fn is_shared(&self) -> bool {
        self.0.lock().as_ref().is_some_and(|piece| piece.is_shared())
    }

    /// Whether it was sent.
    pub(crate) fn is_gone(&self) -> bool {
        self.0.lock().is_none()
    }

    /// The piece alone, to be written: what a call that waits has of it keeps its content. New memory of `len` bytes
    /// if it was sent.
    pub(crate) fn exclusive(&mut self, len: usize) -> &mut Piece {
        if Arc::get_mut(&mut self.0).is_none() {
            let held = self.0.lock().clone();
            *self = match held {
                Some(piece) => Self(Arc::new(Mutex::new(Some(piece)))),
                None => Self(Arc::default()),
            };
        }
        let place = Arc::get_mut(&mut self.0).map(Mutex::get_mut);
        #[expect(clippy::expect_used, reason = "it was made just now if it was shared")]
        let piece = place.expect("nobody else's").get_or_insert_with(|| Arc::new(Piece::on_heap(len)));
        if Arc::get_mut(piece).is_none() {
            let mut copy = Piece::on_heap(len);
            copy.bytes_mut().copy_from_slice(piece.bytes());
            *piece = Arc::new(copy);
        }
        #[expect(clippy::expect_used, reason = "it was copied just now if it was shared")]
        Arc::get_mut(piece).expect("nobody else's")
    }
}

/// One array.
#[derive(Clone)]
pub(crate) enum Array {
    /// Built for being sent: where it is, if it can be.
    Built(Built),
    /// Anything else: copied.
    Source(Arc<dyn Source>),
}

/// An array that was built in place, of a call that was not sent yet.
#[derive(Clone)]
pub(crate) struct Built {
    home: Home,
    piece: Arc<Piece>,
}

/// What is left of an array while it is being sent.
struct Sending {
    home: Option<Home>,
    /// The piece, if other calls have it, too: then it is copied.
    shared: Option<Arc<Piece>>,
}

impl Sending {
    /// Takes an array from where it was.
    fn begin(array: Array) -> (Self, Attachment) {
        let Built { home, piece } = match array {
            Array::Built(built) => built,
            Array::Source(source) => return (Self { home: None, shared: None }, Attachment::Source(source)),
        };
        let taken = home.0.lock().take_if(|held| Arc::ptr_eq(held, &piece));
        drop(taken);
        let (shared, attachment) = match Arc::try_unwrap(piece) {
            Ok(piece) => (None, Attachment::Piece(piece)),
            Err(piece) => (Some(Arc::clone(&piece)), Attachment::Source(piece)),
        };
        (Self { home: Some(home), shared }, attachment)
    }

    /// Puts it back: it was not sent.
    fn undo(self, attachment: Attachment) -> Array {
        let piece = match (self.shared, attachment) {
            (Some(piece), _) => piece,
            (None, Attachment::Piece(piece)) => Arc::new(piece),
            (None, Attachment::Source(source)) => return Array::Source(source),
        };
        match self.home {
            Some(home) => {
                home.0.lock().get_or_insert_with(|| Arc::clone(&piece));
                Array::Built(Built { home, piece })
            }
            None => Array::Source(piece),
        }
    }
}

impl Array {
    /// How many bytes it has.
    fn len(&self) -> usize {
        match self {
            Self::Built(built) => built.piece.len(),
            Self::Source(source) => source.len(),
        }
    }

    /// Whether it is the same array, built in place, so that it need not be sent twice.
    fn is(&self, home: &Home) -> bool {
        matches!(self, Self::Built(built) if Arc::ptr_eq(&built.home.0, &home.0))
    }

    /// Its bytes, to be copied.
    fn copied(&self) -> Attachment {
        Attachment::Source(match self {
            Self::Built(built) => Arc::clone(&built.piece) as Arc<dyn Source>,
            Self::Source(source) => Arc::clone(source),
        })
    }
}

impl std::fmt::Debug for Array {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Array").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// The arrays of a call, by their numbers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Arrays {
    arrays: Vec<Array>,
    /// Whether they went with a frame.
    gone: bool,
}

impl Arrays {
    pub(crate) fn len(&self) -> usize {
        self.arrays.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.arrays.is_empty()
    }

    /// Whether they went with a frame, so that it can't be sent again.
    pub(crate) fn are_gone(&self) -> bool {
        self.gone
    }

    /// Adds one: its number.
    pub(crate) fn push(&mut self, array: Array) -> u32 {
        self.arrays.push(array);
        (self.arrays.len() - 1) as u32
    }

    /// The number of an array that is there already.
    pub(crate) fn number(&self, home: &Home) -> Option<u32> {
        self.arrays.iter().position(|array| array.is(home)).map(|number| number as u32)
    }

    /// Whether some were built in place.
    pub(crate) fn built(&self) -> bool {
        self.arrays.iter().any(|array| matches!(array, Array::Built(_)))
    }

    /// Their bytes.
    pub(crate) fn content_len(&self) -> usize {
        self.arrays.iter().map(Array::len).sum()
    }

    /// Bytes that they take in a sample, at most, and how many of them are to be copied.
    pub(crate) fn bytes(&self) -> (usize, usize) {
        self.arrays.iter().fold((0, 0), |(taken, copied), array| {
            let in_place = matches!(array, Array::Built(built) if built.piece.is_shared());
            let len = array.len();
            (taken + len + ENTRY_LEN + ALIGNMENT, copied + if in_place { 0 } else { len })
        })
    }

    /// Gives them to `send`: copies, if they are to be kept, otherwise themselves. What `send` fails to send is as it
    /// was.
    pub(crate) fn send(
        &mut self,
        keep: bool,
        send: impl FnOnce(&mut Vec<Attachment>) -> Result<(), SendError>,
    ) -> Result<(), SendError> {
        if keep || self.is_empty() {
            return send(&mut self.arrays.iter().map(Array::copied).collect());
        }
        let (begun, mut attachments): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.arrays).into_iter().map(Sending::begin).unzip();
        let sent = send(&mut attachments);
        // Of a frame that was complete, and whose sample then found nobody, none are left.
        self.gone = sent.is_ok() || attachments.len() < begun.len();
        if !self.gone {
            self.arrays = begun.into_iter().zip(attachments).map(|(begun, left)| begun.undo(left)).collect();
        }
        sent
    }
}
