//! One connection of a client: the commands in their order, and what is answered.
//!
//! Two doors stand on it. At the first, servers bring mail for the bridge's domain, one recipient at a time, so that each answer is for one
//! person's mail and says exactly what became of it. At the second, on this machine alone, the operator's people hand in mail that goes out.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use zeroize::Zeroizing;

use super::Bridge;
use super::check::Sender;
use super::command::{Command, domain_of};
use super::outbound::{Outbound, Outgoing};
use super::recipients::Found;
use super::wire::{Data, Wire, WireError};
use crate::proto::identity::Id;

/// Longest silence of a client, by RFC 5321, 4.5.3.2.7.
const PATIENCE: Duration = Duration::from_secs(5 * 60);

/// Longest connection.
const LONGEST: Duration = Duration::from_secs(30 * 60);

/// Commands of one connection, and those among them that made no sense. Ours: a hundred mails, each of six.
const MAX_COMMANDS: usize = 600;
const MAX_MISTAKES: usize = 10;

/// Which door a client came in by.
pub(super) enum Door {
    /// Servers bring mail.
    In,
    /// People of this machine hand mail in.
    Out(Rc<Outbound>),
}

/// A mail that is being said.
#[derive(Default)]
struct Transaction {
    from: Option<String>,
    to: Vec<String>,
    id: Option<Id>,
}

pub(super) struct Session {
    bridge: Rc<Bridge>,
    door: Door,
    client: SocketAddr,
    hello: Option<String>,
    user: Option<String>,
    mail: Transaction,
    mistakes: usize,
}

/// What follows a command.
enum Then {
    Say(String),
    Data,
    Tls,
    Auth(String, Option<Zeroizing<Vec<u8>>>),
    End(&'static str),
}

fn say(text: &str) -> Then {
    Then::Say(text.to_owned())
}

impl Session {
    pub(super) fn new(bridge: Rc<Bridge>, door: Door, client: SocketAddr) -> Self {
        Self {
            bridge,
            door,
            client,
            hello: None,
            user: None,
            mail: Transaction::default(),
            mistakes: 0,
        }
    }

    pub(super) async fn run(self, socket: TcpStream) {
        let _ = socket.set_nodelay(true);
        let wire = Wire::new(socket, PATIENCE);
        match tokio::time::timeout(LONGEST, self.talk(wire)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "an SMTP connection ended early"),
            Err(_) => tracing::debug!("an SMTP connection lasted too long"),
        }
    }

    async fn talk(mut self, mut wire: Wire) -> Result<(), WireError> {
        let domain = self.bridge.domain.clone();
        wire.say(&format!("220 {domain} ESMTP Gyre")).await?;
        for _ in 0..MAX_COMMANDS {
            let line = match wire.line().await {
                Ok(line) => line,
                Err(WireError::LineTooLong) => {
                    return wire.say("500 5.5.2 This line is too long").await;
                }
                Err(WireError::TooSlow) => {
                    return wire.say("421 4.4.2 Nothing was said for too long").await;
                }
                Err(error) => return Err(error),
            };
            match self.obey(Command::parse(&line), wire.is_tls()).await {
                Then::Say(answer) => {
                    if answer.starts_with("50") {
                        self.mistakes += 1;
                    }
                    wire.say(&answer).await?;
                }
                Then::Data => {
                    let answer = self.data(&mut wire).await?;
                    self.mail = Transaction::default();
                    wire.say(&answer).await?;
                }
                Then::Tls => {
                    let Some(tls) = self.bridge.tls.clone() else {
                        continue;
                    };
                    wire.say("220 2.0.0 Go ahead").await?;
                    // What was said in the clear counts for nothing (RFC 3207, 4.2).
                    (self.hello, self.mail) = (None, Transaction::default());
                    wire = wire
                        .upgrade(async move |socket| {
                            let done = tls.accept(socket).await?;
                            done.ok_or_else(|| std::io::Error::other("only a challenge"))
                        })
                        .await?;
                }
                Then::Auth(mechanism, initial) => {
                    let answer = self.auth(&mut wire, &mechanism, initial).await?;
                    wire.say(answer).await?;
                }
                Then::End(answer) => return wire.say(answer).await,
            }
            if self.mistakes > MAX_MISTAKES {
                return wire.say("421 4.7.0 Too many mistakes").await;
            }
        }
        wire.say("421 4.7.0 Too many commands").await
    }

    async fn obey(&mut self, command: Command, tls: bool) -> Then {
        match command {
            Command::Hello(name, extended) => {
                self.mail = Transaction::default();
                self.hello = Some(name);
                match extended {
                    true => Then::Say(self.extensions(tls)),
                    false => Then::Say(format!("250 {}", self.bridge.domain)),
                }
            }
            Command::Mail(from, size) => self.mail_from(from, size),
            Command::Rcpt(to) => self.rcpt(to).await,
            Command::Data if self.mail.to.is_empty() => say("503 5.5.1 First say to whom"),
            Command::Data => Then::Data,
            Command::Rset => {
                self.mail = Transaction::default();
                say("250 2.0.0 Forgotten")
            }
            Command::Noop => say("250 2.0.0 Still here"),
            Command::Verify => say("252 2.5.0 That is not said; send a mail"),
            Command::Quit => Then::End("221 2.0.0 Goodbye"),
            Command::StartTls if tls || self.bridge.tls.is_none() => {
                say("502 5.5.1 There is no TLS to begin")
            }
            Command::StartTls => Then::Tls,
            Command::Auth(..) if matches!(self.door, Door::In) => say("502 5.5.1 Not here"),
            Command::Auth(..) if self.hello.is_none() || self.user.is_some() => {
                say("503 5.5.1 Not now")
            }
            Command::Auth(mechanism, initial) => Then::Auth(mechanism, initial),
            Command::BadArguments => say("501 5.5.4 This cannot be read"),
            Command::Unknown => say("500 5.5.1 This is no command here"),
        }
    }

    fn extensions(&self, tls: bool) -> String {
        let mut lines = vec![
            self.bridge.domain.clone(),
            format!("SIZE {}", self.bridge.limits.max_bytes),
            "8BITMIME".into(),
            "PIPELINING".into(),
            "ENHANCEDSTATUSCODES".into(),
        ];
        if self.bridge.tls.is_some() && !tls {
            lines.push("STARTTLS".into());
        }
        if matches!(self.door, Door::Out(_)) {
            lines.push("AUTH PLAIN LOGIN".into());
        }
        let last = lines.len() - 1;
        let lines: Vec<_> = (0..)
            .zip(lines)
            .map(|(at, line)| format!("250{}{line}", if at == last { ' ' } else { '-' }))
            .collect();
        lines.join("\r\n")
    }

    fn mail_from(&mut self, from: String, size: Option<u64>) -> Then {
        if self.hello.is_none() {
            return say("503 5.5.1 First say hello");
        }
        if self.mail.from.is_some() {
            return say("503 5.5.1 There is a mail already");
        }
        if size.is_some_and(|size| size > self.bridge.limits.max_bytes) {
            return say("552 5.3.4 It is too long");
        }
        if matches!(self.door, Door::Out(_)) {
            let Some(user) = &self.user else {
                return say("530 5.7.0 First say who you are");
            };
            let own = format!("{user}@{}", self.bridge.domain);
            if !from.eq_ignore_ascii_case(&own) {
                return say("553 5.7.1 This is not your address");
            }
        }
        if !self.bridge.allows(self.client.ip(), Instant::now()) {
            return say("450 4.7.1 Too many mails from there; come again");
        }
        self.mail.from = Some(from);
        say("250 2.1.0 Fine")
    }

    async fn rcpt(&mut self, to: String) -> Then {
        if self.mail.from.is_none() {
            return say("503 5.5.1 First say from whom");
        }
        match &self.door {
            Door::In => self.rcpt_in(to).await,
            Door::Out(out) => {
                if domain_of(&to) == self.bridge.domain {
                    return say("550 5.1.2 Who is in the network is written to there");
                }
                match out.takes(&self.mail.to, &to) {
                    Ok(()) => {
                        self.mail.to.push(to);
                        say("250 2.1.5 Fine")
                    }
                    Err(answer) => say(answer),
                }
            }
        }
    }

    async fn rcpt_in(&mut self, to: String) -> Then {
        if domain_of(&to) != self.bridge.domain {
            return say("550 5.7.1 Only mail for this domain is taken in");
        }
        if !self.mail.to.is_empty() {
            // RFC 5321, 4.5.3.1.10: the rest comes in a mail of its own.
            return say("452 4.5.3 One recipient at a time");
        }
        let local = to.rsplit_once('@').map_or("", |(local, _)| local);
        let found = self.bridge.recipients.find(local, &self.bridge.node).await;
        match found {
            Found::Yes(id) => {
                self.mail.id = Some(id);
                self.mail.to.push(to);
                say("250 2.1.5 Fine")
            }
            Found::No => say("550 5.1.1 There is nobody of this name"),
            Found::NotNow => say("450 4.1.1 Their mailbox is not found now; come again"),
        }
    }

    async fn data(&mut self, wire: &mut Wire) -> Result<String, WireError> {
        wire.say("354 End with a dot on a line of its own").await?;
        let bridge = self.bridge.clone();
        let mut room = Vec::new();
        let most = usize::try_from(bridge.limits.max_bytes).unwrap_or(usize::MAX);
        let data = wire.data(most, |_| {
            let permit = bridge.room.clone().try_acquire_owned();
            permit.map(|permit| room.push(permit)).is_ok()
        });
        let mail = match data.await? {
            Data::Mail(mail) => mail,
            Data::TooLong => return Ok("552 5.3.4 It is too long".into()),
            Data::NoRoom => return Ok("452 4.3.1 Too much is coming in; come again".into()),
            Data::BareLineEnd => {
                return Ok("550 5.6.11 A line ends in CR and LF, and in nothing else".into());
            }
        };
        let from = self.mail.from.take().unwrap_or_default();
        let hello = self.hello.clone().unwrap_or_default();
        let sender = Sender {
            ip: self.client.ip().to_canonical(),
            hello,
            from,
        };
        let answer = match &self.door {
            Door::In => match self.mail.id {
                Some(id) => bridge.inbound.take(&sender, id, wire.is_tls(), mail).await,
                None => "503 5.5.1 First say to whom".into(),
            },
            Door::Out(out) => {
                let to = std::mem::take(&mut self.mail.to);
                let from = sender.from;
                out.send(Outgoing { from, to, mail }, &bridge.inbound.checks.dns)
                    .await
            }
        };
        drop(room);
        Ok(answer)
    }

    async fn auth(
        &mut self,
        wire: &mut Wire,
        mechanism: &str,
        initial: Option<Zeroizing<Vec<u8>>>,
    ) -> Result<&'static str, WireError> {
        let Door::Out(out) = &self.door else {
            return Ok("502 5.5.1 Not here");
        };
        let out = out.clone();
        let said = match mechanism {
            "PLAIN" => {
                let plain = match initial {
                    Some(plain) => Some(plain),
                    None => asked(wire, "334 ").await?,
                };
                plain.and_then(|plain| plain_words(&plain))
            }
            "LOGIN" => {
                let user = match initial {
                    Some(user) => Some(user),
                    None => asked(wire, "334 VXNlcm5hbWU6").await?,
                };
                let password = asked(wire, "334 UGFzc3dvcmQ6").await?;
                user.and_then(|user| {
                    let user = String::from_utf8(user.to_vec()).ok()?;
                    Some((user, password?))
                })
            }
            _ => return Ok("504 5.5.4 This way is not known"),
        };
        let Some((user, password)) = said else {
            return Ok("501 5.5.2 This cannot be read");
        };
        match out.admits(&user, &password).await {
            Some(user) => {
                self.user = Some(user);
                Ok("235 2.7.0 Welcome")
            }
            None => {
                self.mistakes += 1;
                Ok("535 5.7.8 Name or password is wrong")
            }
        }
    }
}

/// Asks for one word in base64; none if it is no such word.
async fn asked(wire: &mut Wire, prompt: &str) -> Result<Option<Zeroizing<Vec<u8>>>, WireError> {
    wire.say(prompt).await?;
    let line = wire.line().await?;
    let word = data_encoding::BASE64.decode(&line).ok();
    Ok(word.map(Zeroizing::new))
}

/// Name and password of RFC 4616: for whom (which is left out or the same), who, and what they know.
fn plain_words(plain: &[u8]) -> Option<(String, Zeroizing<Vec<u8>>)> {
    let mut words = plain.split(|byte| *byte == 0);
    let (_, user, password) = (words.next()?, words.next()?, words.next()?);
    let user = String::from_utf8(user.to_vec()).ok()?;
    match words.next() {
        None => Some((user, Zeroizing::new(password.to_vec()))),
        Some(_) => None,
    }
}
