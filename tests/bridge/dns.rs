//! A name server on loopback that knows what a test tells it.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;

use hickory_resolver::proto::op::{Message, MessageType, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, MX, TXT};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use tokio::net::UdpSocket;

/// What stands under names.
#[derive(Default)]
pub struct Zone(BTreeMap<(String, RecordType), RData>);

impl Zone {
    pub fn txt(mut self, name: &str, text: &str) -> Self {
        // A string of a record has at most 255 bytes.
        let pieces = text.as_bytes().chunks(200);
        let pieces = pieces.map(|piece| String::from_utf8(piece.to_vec()).unwrap());
        let data = RData::TXT(TXT::new(pieces.collect()));
        self.0.insert((format!("{name}."), RecordType::TXT), data);
        self
    }

    pub fn mx(mut self, name: &str, host: &str) -> Self {
        let data = RData::MX(MX::new(10, Name::from_str(&format!("{host}.")).unwrap()));
        self.0.insert((format!("{name}."), RecordType::MX), data);
        self
    }

    pub fn address(mut self, name: &str, ip: Ipv4Addr) -> Self {
        let data = RData::A(A(ip));
        self.0.insert((format!("{name}."), RecordType::A), data);
        self
    }

    /// Answers from now on, and says where.
    pub async fn serve(self) -> SocketAddr {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = socket.local_addr().unwrap();
        tokio::spawn(async move {
            let mut buffer = [0; 1500];
            loop {
                let (len, from) = socket.recv_from(&mut buffer).await.unwrap();
                if let Some(answer) = self.answer(&buffer[..len]) {
                    let _ = socket.send_to(&answer, from).await;
                }
            }
        });
        address
    }

    fn answer(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let asked = Message::from_vec(bytes).ok()?;
        let query = asked.queries.first()?.clone();
        let name = query.name().to_ascii().to_ascii_lowercase();
        let mut answer = asked.into_response();
        answer.metadata.message_type = MessageType::Response;
        answer.edns = None;
        match self.0.get(&(name.clone(), query.query_type())) {
            Some(data) => {
                let record = Record::from_rdata(query.name().clone(), 60, data.clone());
                answer.add_answer(record);
            }
            None if self.0.keys().any(|(known, _)| *known == name) => {}
            None => answer.metadata.response_code = ResponseCode::NXDomain,
        }
        answer.to_vec().ok()
    }
}
