//! Events between a handler and the task that polls.

use std::{
    cell::RefCell,
    collections::VecDeque,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use super::super::{ConnectionState, PeerEvent};

/// Candidates and channels of one connection that wait to be polled: as many channels as the muxer lets wait.
pub const MAX_PEER_QUEUE: usize = 256;

/// A queue; its clones are the same one.
pub(super) struct Queue<E>(Rc<RefCell<(VecDeque<E>, Option<Waker>)>>);

impl<E> Queue<E> {
    pub(super) fn push(&self, event: E) {
        let waker = {
            let mut queue = self.0.borrow_mut();
            queue.0.push_back(event);
            queue.1.take()
        };
        waker.into_iter().for_each(Waker::wake);
    }

    pub(super) fn poll(&self, cx: &mut Context<'_>) -> Poll<E> {
        let mut queue = self.0.borrow_mut();
        if let Some(event) = queue.0.pop_front() {
            return Poll::Ready(event);
        }
        if !queue
            .1
            .as_ref()
            .is_some_and(|waker| waker.will_wake(cx.waker()))
        {
            queue.1 = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    pub(super) fn clear(&self) -> VecDeque<E> {
        std::mem::take(&mut *self.0.borrow_mut()).0
    }
}

impl<C> Queue<PeerEvent<C>> {
    /// Pushes a candidate or a channel, or drops it when too many wait.
    pub(super) fn push_bounded(&self, event: PeerEvent<C>) {
        if self.0.borrow().0.len() < MAX_PEER_QUEUE {
            self.push(event);
        } else {
            tracing::debug!("too many events of a peer connection wait, dropping one");
        }
    }

    /// Pushes a state in place of one that nobody has seen, unless that one is terminal.
    pub(super) fn push_state(&self, state: ConnectionState) {
        let mut seen_terminal = false;
        self.0.borrow_mut().0.retain(|event| match event {
            PeerEvent::State(waiting) => {
                seen_terminal |= waiting.is_terminal();
                waiting.is_terminal()
            }
            _ => true,
        });
        if !seen_terminal {
            self.push(PeerEvent::State(state));
        }
    }
}

impl<E> Clone for Queue<E> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<E> Default for Queue<E> {
    fn default() -> Self {
        Self(Rc::new(RefCell::new((VecDeque::new(), None))))
    }
}
