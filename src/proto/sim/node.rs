//! One simulated peer: the state machine with a virtual store, or a liar.

use std::sync::Arc;
use std::time::Duration;

use super::content::{Content, verify_marked};
use super::liar::Lie;
use super::{PeerSpec, Role};
use crate::proto::bitfield::Bitfield;
use crate::proto::config::Config;
use crate::proto::message::Message;
use crate::proto::swarm::{Input, Misconduct, Output, Swarm};
use crate::proto::types::{CHUNK_SIZE, ChunkIndex, Time};
use crate::proto::web_seed::{Fault, WebSeed};

/// A peer of the simulation.
#[derive(Debug)]
pub(super) struct Node {
    pub spec: PeerSpec,
    pub behaviour: Behaviour,
    pub online: bool,
    pub left: bool,
    pub completed: Option<Time>,
    /// When its timer fires.
    pub wake: Option<Time>,
    pub web: Option<WebSeed>,
    /// Chunks verified and durable, and verified and on their way into the store.
    durable: Bitfield,
    memory: Bitfield,
    writing: u64,
    writes: u32,
}

/// How it decides.
#[derive(Debug)]
pub(super) enum Behaviour {
    Honest(Box<Swarm>),
    Liar(Lie),
}

/// What it does to the world.
#[derive(Debug)]
pub(super) enum Effect {
    Send { to: usize, message: Message },
    Later { at: Time, input: Input },
    Ban { peer: usize, reason: Misconduct },
    Close { peer: usize },
}

/// What every peer's clock shows at the start, in microseconds: a day.
const CLOCK_START: u64 = 86_400_000_000;

/// Time after which the person lets a download go on that a full disk had stopped.
const RESUME: Duration = Duration::from_secs(1);

impl Node {
    pub(super) fn new(spec: PeerSpec, config: &Arc<Config>, content: &Content, seed: u64) -> Self {
        let chunks = content.size.chunk_count();
        let (behaviour, durable) = match spec.role {
            Role::Liar(lie) => (Behaviour::Liar(lie), Bitfield::new(chunks)),
            role => {
                let durable = match role {
                    Role::Seed => Bitfield::full(chunks),
                    _ => Bitfield::new(chunks),
                };
                let size = (role == Role::Seed).then_some(content.size);
                let stored = durable.iter().map(ChunkIndex);
                let mut swarm = Swarm::new(config.clone(), content.hash, size, stored, seed);
                if content.marked {
                    swarm.set_verify(verify_marked);
                }
                swarm.handle(Input::AllowUpload(spec.uploads), Time(0));
                (Behaviour::Honest(Box::new(swarm)), durable)
            }
        };
        let completed = (spec.role == Role::Seed).then_some(Time(0));
        Self {
            spec,
            behaviour,
            online: false,
            left: false,
            completed,
            wake: None,
            web: None,
            durable,
            memory: Bitfield::new(chunks),
            writing: 0,
            writes: 0,
        }
    }

    /// Takes one input and drains what follows.
    ///
    /// # Panics
    /// If the state machine breaks a promise: stores wrong bytes, or serves what is not durable.
    pub(super) fn handle(
        &mut self,
        input: Input,
        now: Time,
        content: &Content,
        effects: &mut Vec<Effect>,
    ) {
        let swarm = match &mut self.behaviour {
            Behaviour::Honest(swarm) => swarm,
            Behaviour::Liar(lie) => {
                let to = match &input {
                    Input::Connected { peer } | Input::Received { peer, .. } => peer.0 as usize,
                    _ => return,
                };
                let messages = lie.answer(&input, content);
                let messages = messages.into_iter();
                return effects.extend(messages.map(|message| Effect::Send { to, message }));
            }
        };
        match &input {
            Input::Stored { index } => {
                self.durable.insert(index.0);
                self.memory.remove(index.0);
                self.writing -= content.data(*index).len() as u64;
            }
            Input::StoreFailed { index } => {
                self.memory.remove(index.0);
                self.writing -= content.data(*index).len() as u64;
            }
            _ => {}
        }
        // What its own clock shows, which starts late enough to be set back.
        let shift = match self.spec.clock_set {
            Some((at, seconds)) if now >= Time(0) + at => {
                CLOCK_START.saturating_add_signed(seconds * 1_000_000)
            }
            _ => CLOCK_START,
        };
        swarm.handle(input, now + Duration::from_micros(shift));
        while let Some(output) = swarm.poll_output() {
            match output {
                Output::Send { peer, message } => {
                    effects.push(Effect::Send {
                        to: peer.0 as usize,
                        message,
                    });
                }
                Output::Store { index, data, proof } => {
                    assert!(content.is(index, &data), "stored wrong bytes");
                    self.memory.insert(index.0);
                    assert_eq!(proof, content.proof(index), "stored a wrong proof");
                    self.writes += 1;
                    self.writing += data.len() as u64;
                    let every = self.spec.write_fails_every;
                    let at = now + self.spec.write_delay;
                    if every > 0 && self.writes.is_multiple_of(every) {
                        effects.push(Effect::Later {
                            at,
                            input: Input::StoreFailed { index },
                        });
                        effects.push(Effect::Later {
                            at: at + RESUME,
                            input: Input::Resume,
                        });
                    } else {
                        effects.push(Effect::Later {
                            at,
                            input: Input::Stored { index },
                        });
                    }
                }
                Output::Load { peer, index } => {
                    assert!(
                        self.durable.contains(index.0) || self.memory.contains(index.0),
                        "serves a chunk that is not here"
                    );
                    let (data, proof) = (content.data(index), content.proof(index));
                    let at = now + self.spec.read_delay;
                    effects.push(Effect::Later {
                        at,
                        input: Input::Loaded {
                            peer,
                            index,
                            data,
                            proof,
                        },
                    });
                }
                Output::Ban { peer, reason } => effects.push(Effect::Ban {
                    peer: peer.0 as usize,
                    reason,
                }),
                Output::Close { peer } => effects.push(Effect::Close {
                    peer: peer.0 as usize,
                }),
                Output::WrongFetch { index } => {
                    if let Some(web) = &mut self.web {
                        web.on_chunk(index, Err(Fault::WrongBytes), now);
                    }
                }
                Output::SizeProved(size) => assert_eq!(size, content.size, "proved a wrong size"),
                Output::Complete => {
                    assert!(
                        self.durable.is_full(),
                        "complete before everything is stored"
                    );
                    self.completed = Some(now);
                }
                Output::WakeAt(at) => {
                    let at = Time(at.0.saturating_sub(shift)).max(now);
                    self.wake = Some(at);
                    effects.push(Effect::Later {
                        at,
                        input: Input::Tick,
                    });
                }
            }
        }
    }

    pub(super) fn up_bytes(&self) -> u64 {
        match &self.behaviour {
            Behaviour::Honest(swarm) => swarm.progress().up_bytes,
            Behaviour::Liar(_) => 0,
        }
    }

    pub(super) fn down_bytes(&self) -> u64 {
        match &self.behaviour {
            Behaviour::Honest(swarm) => swarm.progress().down_bytes,
            Behaviour::Liar(_) => 0,
        }
    }

    pub(super) fn wasted_bytes(&self) -> u64 {
        match &self.behaviour {
            Behaviour::Honest(swarm) => swarm.progress().wasted_bytes,
            Behaviour::Liar(_) => 0,
        }
    }

    /// Bytes asked for, each request counted as a whole chunk, and bytes being written.
    pub(super) fn unstored_bytes(&self) -> u64 {
        match &self.behaviour {
            Behaviour::Honest(swarm) => {
                u64::from(swarm.progress().in_flight) * CHUNK_SIZE + self.writing
            }
            Behaviour::Liar(_) => 0,
        }
    }
}
