//! What waits in turns between clients, and of each client what is due first.
//!
//! Clients have a turn each in every round. In a round, the client comes first whose next call is due first; so a client
//! that claims to be in a hurry is served early in each round, and not more often than the others.

use std::collections::VecDeque;

/// What waits, by clients.
pub(crate) struct Lanes<T> {
    /// A lane for each client that has something here, the one that came first to the front.
    by_client: VecDeque<Lane<T>>,
    /// An emptied lane's memory, for the next lane.
    spare: VecDeque<Waiting<T>>,
    /// What waits in all lanes.
    len: usize,
    /// The round of the last turn.
    round: u64,
    /// The lane whose turn is next.
    next: usize,
}

/// What one client has waiting.
struct Lane<T> {
    /// The connection's number.
    client: u64,
    /// The round of its next turn: the one of the last turn, or the one after.
    round: u64,
    /// When the first is due.
    due_ns: u64,
    /// In the order in which they came, which is that in which they are due: for a client whose calls have equal
    /// times, all of them.
    in_order: VecDeque<Waiting<T>>,
    /// Those that came after one that is due later, in the order in which they are due. Boxed, since they are moved for
    /// one that comes between.
    early: VecDeque<Waiting<Box<T>>>,
}

/// One of them.
struct Waiting<T> {
    /// When it is due.
    due_ns: u64,
    /// What waits.
    what: T,
}

impl<T> Lanes<T> {
    pub(crate) fn new() -> Self {
        Self { by_client: VecDeque::new(), spare: VecDeque::new(), len: 0, round: 0, next: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Adds what is due then, after all of this client that is due as early.
    pub(crate) fn push(&mut self, client: u64, due_ns: u64, what: T) {
        self.len += 1;
        // From the back: a burst comes from one client, and its lane was the last to be made.
        let found = self.by_client.iter().rposition(|lane| lane.client == client);
        let at = found.unwrap_or_else(|| {
            // Its turn is in the next round: it may have had one in this.
            self.by_client.push_back(Lane {
                client,
                round: self.round + 1,
                due_ns,
                in_order: std::mem::take(&mut self.spare),
                early: VecDeque::new(),
            });
            self.by_client.len() - 1
        });
        if self.by_client[at].push(due_ns, what)
            && self.by_client[at].turn() < self.by_client[self.next].turn()
        {
            self.next = at;
        }
    }

    /// What is next, and when it is due.
    pub(crate) fn first(&self) -> Option<(u64, &T)> {
        let lane = self.by_client.get(self.next)?;
        Some((lane.due_ns, lane.first()?))
    }

    /// Takes out what is next; the next turn in this round is another client's.
    pub(crate) fn pop(&mut self) -> Option<T> {
        let lane = self.by_client.get_mut(self.next)?;
        let what = lane.pop()?;
        self.round = lane.round;
        lane.round += 1;
        self.len -= 1;
        if lane.is_empty()
            && let Some(lane) = self.by_client.remove(self.next)
        {
            self.spare = lane.in_order;
        }
        self.choose();
        Some(what)
    }

    /// How many come before one of this client that were added now and is due then. Of the client's own, those that
    /// `make_way` for it, if any do, don't count.
    pub(crate) fn before(&self, client: u64, due_ns: u64, make_way: Option<&dyn Fn(&T) -> bool>) -> usize {
        let lane = self.by_client.iter().find(|lane| lane.client == client);
        let (own_round, own) = lane.map_or((self.round + 1, 0), |lane| {
            let going = make_way.map_or(0, |make_way| lane.going_before(due_ns, make_way));
            (lane.round, lane.before(due_ns) - going)
        });
        let round = own_round + own as u64;
        let others = self.by_client.iter().filter(|lane| lane.client != client && lane.round <= round);
        let before = others.map(|lane| {
            // In earlier rounds whatever they are due, and in the same one what is due as early.
            let earlier = lane.len().min((round - lane.round) as usize);
            earlier + usize::from(lane.before(due_ns) > earlier)
        });
        own + before.sum::<usize>()
    }

    /// Takes out what `condemned` names.
    pub(crate) fn remove(&mut self, mut condemned: impl FnMut(&T) -> bool, out: &mut Vec<T>) {
        let removed = out.len();
        for lane in &mut self.by_client {
            lane.remove(&mut condemned, out);
        }
        self.len -= out.len() - removed;
        self.by_client.retain(|lane| !lane.is_empty());
        self.choose();
    }

    /// All that waits, in any order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.by_client.iter().flat_map(Lane::iter)
    }

    /// Finds the lane whose turn is next.
    fn choose(&mut self) {
        let next = self.by_client.iter().enumerate().min_by_key(|(_, lane)| lane.turn());
        self.next = next.map_or(0, |(at, _)| at);
    }
}

impl<T> Lane<T> {
    /// By what turns are ordered: the lower comes first.
    fn turn(&self) -> (u64, u64) {
        (self.round, self.due_ns)
    }

    fn len(&self) -> usize {
        self.in_order.len() + self.early.len()
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the first is one of those that came early.
    fn first_is_early(&self) -> bool {
        let in_order = self.in_order.front().map_or(u64::MAX, |first| first.due_ns);
        // Of those that are equally due, the other came first.
        self.early.front().is_some_and(|early| early.due_ns < in_order || self.in_order.is_empty())
    }

    fn first(&self) -> Option<&T> {
        if self.first_is_early() {
            return self.early.front().map(|first| &*first.what);
        }
        self.in_order.front().map(|first| &first.what)
    }

    /// Answers whether it is the first now.
    fn push(&mut self, due_ns: u64, what: T) -> bool {
        if self.in_order.back().is_none_or(|last| last.due_ns <= due_ns) {
            self.in_order.push_back(Waiting { due_ns, what });
        } else {
            let at = match self.early.back() {
                Some(last) if last.due_ns > due_ns => count_before(&self.early, due_ns),
                _ => self.early.len(),
            };
            self.early.insert(at, Waiting { due_ns, what: Box::new(what) });
        }
        let is_first = self.len() == 1 || due_ns < self.due_ns;
        if is_first {
            self.due_ns = due_ns;
        }
        is_first
    }

    fn pop(&mut self) -> Option<T> {
        let what = if self.first_is_early() {
            *self.early.pop_front()?.what
        } else {
            self.in_order.pop_front()?.what
        };
        self.look();
        Some(what)
    }

    /// How many come before one that were added now and is due then.
    fn before(&self, due_ns: u64) -> usize {
        count_before(&self.in_order, due_ns) + count_before(&self.early, due_ns)
    }

    /// Those of them that make way for it.
    fn going_before(&self, due_ns: u64, make_way: &dyn Fn(&T) -> bool) -> usize {
        let in_order = self.in_order.iter().take(count_before(&self.in_order, due_ns));
        let early = self.early.iter().take(count_before(&self.early, due_ns));
        in_order.filter(|one| make_way(&one.what)).count() + early.filter(|one| make_way(&one.what)).count()
    }

    fn remove(&mut self, condemned: &mut impl FnMut(&T) -> bool, out: &mut Vec<T>) {
        // Looked at first: a queue is swept every second and mostly keeps everything.
        if self.in_order.iter().any(|one| condemned(&one.what)) {
            for one in std::mem::take(&mut self.in_order) {
                if condemned(&one.what) {
                    out.push(one.what);
                } else {
                    self.in_order.push_back(one);
                }
            }
        }
        if self.early.iter().any(|one| condemned(&one.what)) {
            for one in std::mem::take(&mut self.early) {
                if condemned(&one.what) {
                    out.push(*one.what);
                } else {
                    self.early.push_back(one);
                }
            }
        }
        self.look();
    }

    /// Notes when the first is due.
    fn look(&mut self) {
        let [in_order, early] =
            [self.in_order.front().map(|first| first.due_ns), self.early.front().map(|first| first.due_ns)];
        self.due_ns = in_order.unwrap_or(u64::MAX).min(early.unwrap_or(u64::MAX));
    }

    fn iter(&self) -> impl Iterator<Item = &T> {
        let in_order = self.in_order.iter().map(|one| &one.what);
        in_order.chain(self.early.iter().map(|one| &*one.what))
    }
}

/// How many of what is ordered are due no later.
fn count_before<T>(waiting: &VecDeque<Waiting<T>>, due_ns: u64) -> usize {
    waiting.partition_point(|one| one.due_ns <= due_ns)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Lanes with these: the client, when it is due, and a name.
    fn with<T>(waiting: impl IntoIterator<Item = (u64, u64, T)>) -> Lanes<T> {
        let mut lanes = Lanes::new();
        for (client, due_ns, what) in waiting {
            lanes.push(client, due_ns, what);
        }
        lanes
    }

    /// What comes out, in order.
    fn emptied<T>(mut lanes: Lanes<T>) -> Vec<T> {
        let out = std::iter::from_fn(|| lanes.pop()).collect();
        assert_eq!(lanes.len(), 0);
        out
    }

    #[test]
    fn of_one_client_what_is_due_first_comes_first() {
        let lanes = with([(1, 50, "b"), (1, 90, "d"), (1, 20, "a"), (1, 70, "c"), (1, 95, "e")]);
        assert_eq!(lanes.first(), Some((20, &"a")));
        assert_eq!(emptied(lanes), ["a", "b", "c", "d", "e"]);
    }

    #[test]
    fn what_is_due_at_once_comes_in_order_of_arrival() {
        let times = [5, 9, 5, 9, 5, 9, 5];
        let lanes = with(times.iter().enumerate().map(|(at, due_ns)| (1, *due_ns, at)));
        assert_eq!(emptied(lanes), [0, 2, 4, 6, 1, 3, 5]);
        // Equal times are never looked through.
        let lanes = with((0..100).map(|at| (1, 1000 + at / 10, at)));
        assert!(lanes.by_client.iter().all(|lane| lane.early.is_empty()));
        assert_eq!(emptied(lanes), (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn clients_take_turns_and_the_one_in_a_hurry_comes_first_in_each_round() {
        let patient = (0..4).map(|at| (1, 1000 + at, ("patient", at)));
        let hurried = (0..4).map(|at| (2, 10 + at, ("hurried", at)));
        let order = emptied(with(patient.chain(hurried)));
        let expected = (0..4).flat_map(|at| [("hurried", at), ("patient", at)]);
        assert_eq!(order, expected.collect::<Vec<_>>());
    }

    #[test]
    fn who_comes_back_at_once_has_one_turn_a_round_too() {
        let mut lanes = with((0..6).map(|at| (1, 1000 + at, 1)));
        let mut order = Vec::new();
        for _ in 0..6 {
            // Its lane is empty after each of its turns, and its next call is always due first.
            if order.last() != Some(&1) {
                lanes.push(2, 1, 2);
            }
            order.extend(lanes.pop());
        }
        assert_eq!(order, [2, 1, 2, 1, 2, 1]);
    }

    #[test]
    fn what_came_first_is_not_overtaken_for_ever() {
        // Each later one is due sooner than the first, until the time has come when none can be.
        let mut lanes = with([(1, 300, None)]);
        let mut overtaken = 0;
        for now in 0..1000 {
            lanes.push(1, now + 10, Some(now));
            match lanes.pop() {
                Some(None) => break,
                _ => overtaken += 1,
            }
        }
        assert_eq!(overtaken, 290);
    }

    #[test]
    fn what_comes_before_is_counted() {
        let mut lanes =
            with([(1, 10, 'a'), (1, 30, 'b'), (1, 20, 'c'), (2, 40, 'd'), (2, 50, 'e'), (3, 60, 'f')]);
        assert_eq!(lanes.before(1, 5, None), 0);
        assert_eq!(lanes.before(1, 25, None), 2 + 2 + 1, "what the others have for the two rounds before");
        assert_eq!(lanes.before(4, 45, None), 2, "the heads that are due as early");
        assert_eq!(lanes.before(4, 100, None), 3);
        assert_eq!(lanes.before(1, 100, Some(&|what| *what == 'b')), 2 + 2 + 1);
        assert_eq!(lanes.pop(), Some('a'));
        // One that comes now has its turn in the next round, like the first client, which was just served.
        assert_eq!(lanes.before(4, 5, None), 2);
        assert_eq!(lanes.before(4, 25, None), 3);
    }

    #[test]
    fn what_is_taken_out_is_missed_by_nobody() {
        let mut lanes = with([(1, 10, 1), (1, 30, 2), (1, 20, 3), (2, 5, 4), (3, 1, 5)]);
        let mut out = Vec::new();
        lanes.remove(|what| [1, 3, 5].contains(what), &mut out);
        assert_eq!((out, lanes.len()), (vec![1, 3, 5], 2));
        assert_eq!(lanes.first(), Some((5, &4)));
        lanes.push(1, 20, 6);
        assert_eq!(lanes.iter().count(), 3);
        assert_eq!(emptied(lanes), [4, 6, 2]);
    }

    /// By client: the round of its next turn, and what it has: when it is due, and its number.
    type Model = Vec<(u64, u64, Vec<(u64, usize)>)>;

    proptest! {
        /// The order is what the rules say, and what is said to come before one does.
        #[test]
        fn the_order_is_that_of_rounds_and_times(
            // One of a client is added that is due then, or the next one is taken.
            steps in prop::collection::vec(prop::option::weighted(0.7, (0..4_u64, 0..20_u64)), 0..200),
        ) {
            let (mut lanes, mut model, mut round) = (Lanes::new(), Model::new(), 0);
            for (number, step) in steps.into_iter().enumerate() {
                match step {
                    Some((client, time)) => {
                        // Of two clients, none is ever due at once: either may then come first.
                        let due_ns = 4 * time + client;
                        let before = lanes.before(client, due_ns, None);
                        lanes.push(client, due_ns, number);
                        let known = model.iter().position(|(known, ..)| *known == client);
                        let at = known.unwrap_or_else(|| {
                            model.push((client, round + 1, Vec::new()));
                            model.len() - 1
                        });
                        let (.., waiting) = &mut model[at];
                        waiting.push((due_ns, number));
                        waiting.sort_unstable();
                        prop_assert_eq!(before, place(&model, number));
                    }
                    None => {
                        let expected = take(&mut model, &mut round);
                        prop_assert_eq!(lanes.first().map(|(_, number)| *number), expected);
                        prop_assert_eq!(lanes.pop(), expected);
                    }
                }
                prop_assert_eq!(lanes.len(), model.iter().map(|(.., waiting)| waiting.len()).sum::<usize>());
            }
        }
    }

    /// The next one by the rules.
    fn take(model: &mut Model, round: &mut u64) -> Option<usize> {
        let at = (0..model.len()).min_by_key(|at| (model[*at].1, model[*at].2[0].0))?;
        let (_, turn, waiting) = &mut model[at];
        *round = *turn;
        *turn += 1;
        let (_, number) = waiting.remove(0);
        if waiting.is_empty() {
            model.remove(at);
        }
        Some(number)
    }

    /// How many are taken before this one.
    fn place(model: &Model, number: usize) -> usize {
        let (mut model, mut round) = (model.clone(), 0);
        std::iter::from_fn(|| take(&mut model, &mut round)).take_while(|taken| *taken != number).count()
    }
}
