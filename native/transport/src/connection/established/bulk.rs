//! Sending large frames: in place where that can be, otherwise with one copy.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use pycrust_protocol::header::HEADER_LEN;

use super::plan::Plan;
use super::{BulkOut, Connection};
use crate::connection::block::{Attachment, Inner};
use crate::error::SendError;

impl Connection {
    /// Sees to it that the bulk service can be sent through.
    pub(super) fn bulk(&self, bulk: &mut BulkOut, len: usize) -> Result<(), SendError> {
        if !bulk.opened {
            self.wait_for_bulk(bulk, len)?;
        }
        bulk.used = Some(Instant::now());
        Ok(())
    }

    /// Sends a large frame.
    pub(super) fn send_bulk(
        &self,
        header: &[u8; HEADER_LEN],
        parts: &[&[u8]],
        attachments: &mut Vec<Attachment>,
        plan: Plan,
    ) -> Result<(), SendError> {
        let number = self.reserve(plan.len())?;
        let head_len = parts.iter().map(|part| part.len()).sum();
        let taken = take_block(attachments, number, head_len);
        let in_place = taken.is_some();
        let filled = match taken {
            Some((block, plan, copied)) => fill_rest(block, &plan, parts, attachments, &copied),
            None => self.fill_new(plan, parts, attachments),
        };
        let mut bulk = self.ports.bulk_out.lock();
        let Some(sending) = &mut bulk.sending else { return Err(SendError::Gone) };
        sending.unreserve();
        let flags = self.parts.flags.outgoing();
        let sent = sending.publish_loan(filled?.into_loan(), header, &flags.bulk_published.0);
        match sent {
            Ok(()) if in_place => {
                self.ports.sent_in_place.fetch_add(1, Ordering::Relaxed);
            }
            // Not to be tried again: what was built in place went with the sample.
            Err(SendError::Full | SendError::Gone) if in_place => {
                return Err(SendError::Failed("the other side went away, or does not take frames".into()));
            }
            // Only from a receiver that lies about what it has consumed.
            Err(SendError::Full) => self.announce_wait_for_room(),
            _ => {}
        }
        sent
    }

    /// Keeps room for a frame; the number of the port that sends it.
    fn reserve(&self, len: usize) -> Result<u64, SendError> {
        let mut bulk = self.ports.bulk_out.lock();
        self.bulk(&mut bulk, len)?;
        let Some(sending) = &mut bulk.sending else { return Err(SendError::Gone) };
        let consumed = &self.parts.flags.outgoing().bulk_consumed.0;
        if !sending.has_room(consumed) && self.still_full(|| sending.has_room(consumed)) {
            return Err(SendError::Full);
        }
        sending.reserve();
        Ok(sending.number())
    }

    /// Writes a frame into a sample of its own.
    fn fill_new(&self, plan: Plan, parts: &[&[u8]], attachments: &[Attachment]) -> Result<Inner, SendError> {
        let mut block = {
            let bulk = self.ports.bulk_out.lock();
            let Some(sending) = &bulk.sending else { return Err(SendError::Gone) };
            sending.loan(plan.room(), true, &self.ports.node)?
        };
        let plan = plan.at(block.address(), block.len());
        block.populate(plan.end())?;
        plan.fill(parts, attachments, block.bytes_mut());
        Ok(block)
    }
}

/// Writes what is not there yet into the sample of a block.
fn fill_rest(
    mut block: Inner,
    plan: &Plan,
    parts: &[&[u8]],
    attachments: &[Attachment],
    copied: &[(usize, usize)],
) -> Result<Inner, SendError> {
    block.populate(plan.end())?;
    let target = block.bytes_mut();
    plan.fill_head(parts, target);
    for (number, at) in copied {
        plan.fill_attachment(*number, &attachments[*at], target);
    }
    Ok(block)
}

/// The block that holds most of the attachments' bytes, if nobody else has a piece of it and the rest of the
/// frame finds room around them; with the frame's layout in it, and the attachments that are still to be
/// copied, by their numbers and their places in what is left of `attachments`.
#[expect(clippy::type_complexity, reason = "used once, right below where it is described")]
fn take_block(
    attachments: &mut Vec<Attachment>,
    port: u64,
    head_len: usize,
) -> Option<(Inner, Plan, Vec<(usize, usize)>)> {
    let place = |attachment: &Attachment| match attachment {
        Attachment::Piece(piece) => piece
            .place()
            .filter(|(block, _)| block.origin() == port)
            .map(|(block, range)| (Arc::as_ptr(block), range.clone())),
        Attachment::Source(_) => None,
    };
    let bytes_in = |block| {
        let lens = attachments.iter().filter_map(place).filter(|(of, _)| *of == block);
        lens.map(|(_, range)| range.len()).sum::<usize>()
    };
    let chosen =
        attachments.iter().filter_map(place).map(|(block, _)| block).max_by_key(|block| bytes_in(*block))?;
    let ours = |attachment: &Attachment| place(attachment).filter(|(block, _)| *block == chosen);
    let pieces = attachments.iter().filter(|attachment| ours(attachment).is_some()).count();
    let block = attachments.iter().find_map(|attachment| match attachment {
        Attachment::Piece(piece) if ours(attachment).is_some() => piece.place().map(|(block, _)| block),
        _ => None,
    })?;
    // Pieces and blocks are cloned by nobody but their owners: what is counted here can only become less.
    if Arc::strong_count(block) != pieces {
        return None;
    }
    let places = attachments.iter().map(|attachment| match ours(attachment) {
        Some((_, range)) => Ok(range),
        None => Err(attachment.len()),
    });
    let plan = Plan::around(head_len, block.used(), (block.address(), block.len()), places)?;
    let (mut copied, mut rest, mut last) = (Vec::new(), Vec::new(), None);
    for (number, attachment) in std::mem::take(attachments).into_iter().enumerate() {
        if ours(&attachment).is_some() {
            if let Attachment::Piece(piece) = attachment {
                // Dropped one by one: the last one left is the only owner.
                last = piece.into_block();
            }
        } else {
            copied.push((number, rest.len()));
            rest.push(attachment);
        }
    }
    *attachments = rest;
    Arc::try_unwrap(last?).ok().map(|block| (block, plan, copied))
}
