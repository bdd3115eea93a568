//! What others publish: X-Wing, HPKE with X-Wing, and HPKE of RFC 9180.

use data_encoding::HEXLOWER;
use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::{X25519HkdfSha256, XWing};
use hpke::{Deserializable, Kem, OpModeR, Serializable};
use sha2::{Digest, Sha256};

use super::{NOW, Person};
use crate::proto::mail::envelope::Envelope;
use crate::proto::mail::kem::{ENCAPSULATED_LEN, Entropy, PUBLIC_LEN, PublicKey, SecretKey};
use crate::proto::mail::message::{Body, MessageId};

fn hex(text: &str) -> Vec<u8> {
    HEXLOWER.decode(text.as_bytes()).unwrap()
}

fn secret(text: &str) -> SecretKey {
    SecretKey::new(hex(text).try_into().unwrap())
}

fn entropy(text: &str) -> Entropy {
    Entropy::new(hex(text).try_into().unwrap())
}

fn sha256(bytes: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(bytes))
}

/// draft-connolly-cfrg-xwing-kem-10, appendix C: seed, eseed, ss; of pk and ct the SHA-256, as they are long.
const X_WING: [[&str; 5]; 3] = [
    [
        "7f9c2ba4e88f827d616045507605853ed73b8093f6efbc88eb1a6eacfa66ef26",
        "3cb1eea988004b93103cfb0aeefd2a686e01fa4a58e8a3639ca8a1e3f9ae57e235b8cc873c23dc62b8d260169afa2f75ab916a58d974918835d25e6a435085b2",
        "d2df0522128f09dd8e2c92b1e905c793d8f57a54c3da25861f10bf4ca613e384",
        "2e816deebcd76c5c80d0cd2d174478871658e8e2ff42bc9d4a6e486372e856bb",
        "17cd532d657e44c897ca6583e548a5424fc70bf54f99515a4d2bcf99e3469f33",
    ],
    [
        "badfd6dfaac359a5efbb7bcc4b59d538df9a04302e10c8bc1cbf1a0b3a5120ea",
        "17cda7cfad765f5623474d368ccca8af0007cd9f5e4c849f167a580b14aabdefaee7eef47cb0fca9767be1fda69419dfb927e9df07348b196691abaeb580b32d",
        "f2e86241c64d60f6649fbc6c5b7d17180b780a3f34355e64a85749949c45f150",
        "c42ba5f8430d7d2c83739338203819f090e8303ce9c8b02107c272bfa5376916",
        "1661ea86d608a1924ba30840cb0a65f13ae051e3aec9cf0f064efc0bc92f2154",
    ],
    [
        "ef58538b8d23f87732ea63b02b4fa0f4873360e2841928cd60dd4cee8cc0d4c9",
        "22a96188d032675c8ac850933c7aff1533b94c834adbb69c6115bad4692d8619f90b0cdf8a7b9c264029ac185b70b83f2801f2f4b3f70c593ea3aeeb613a7f1b",
        "953f7f4e8c5b5049bdc771d1dffada0dd961477d1a2ae0988baa7ea6898d893f",
        "6b080d6b84f095342092fa7a22423e58bd681397ad0ef00eac92bd254db4fa95",
        "d3ca5578500344b5896cffc4fd740c9311946b82951df155e6fd86a7966b43c6",
    ],
];

#[test]
fn x_wing_is_that_of_the_draft() {
    for [seed, eseed, shared, public, ciphertext] in X_WING {
        let ours = secret(seed).public().to_bytes();
        assert_eq!(ours.len(), PUBLIC_LEN);
        assert_eq!(sha256(&ours), public);
        let key = <XWing as Kem>::PublicKey::from_bytes(&ours).unwrap();
        let (there, encapsulated) = XWing::encap_with_rng(&key, None, &mut entropy(eseed)).unwrap();
        assert_eq!(sha256(&encapsulated.to_bytes()), ciphertext);
        let key = <XWing as Kem>::PrivateKey::from_bytes(&hex(seed)).unwrap();
        let here = XWing::decap(&key, None, &encapsulated).unwrap();
        assert_eq!(there.0[..], here.0[..]);
        assert_eq!(here.0[..], hex(shared));
    }
}

/// draft-ietf-hpke-pq, test vectors: mode base, KEM 0x647a, KDF 0x0001, AEAD 0x0003, the first encryption. What is sealed with its
/// randomness is what it says, so all of key schedule and cipher is that of the draft.
#[test]
fn the_whole_suite_is_that_of_the_draft() {
    let recipient = secret("3ec47fa82dd5689d27c6190e724c74ec8f608df3331ce331929e37b829676630");
    // These vectors have info and plaintext in hexadecimal twice.
    let info = b"4f6465206f6e2061204772656369616e2055726e";
    let plain = b"4265617574792069732074727574682c20747275746820626561757479";
    let entropy = entropy(concat!(
        "2a1c0a3745fe8a48fb62034d300f54dfe1974a5b2e169e580a8789cb1cf5fd19",
        "0fc00f3fd899594e01a8b15334b9f3fa03d8de44da86e19f5776850fb689e6c8",
    ));
    let (encapsulated, sealed) = recipient.public().seal(info, b"Count-0", plain, entropy);
    assert_eq!(encapsulated.len(), ENCAPSULATED_LEN);
    assert_eq!(
        HEXLOWER.encode(&sealed),
        concat!(
            "c5c591f99092d5e38df0a52699af249c66f8275a863423c076de8147a53e65cc58404",
            "1c963b77a7e59ea93841b1339b5efda8909b71f74bb0073ad62e899de310c1566dea2fd29eba377",
        )
    );
    let opened = recipient.open(info, b"Count-0", &encapsulated, &sealed);
    assert_eq!(opened.unwrap(), plain);
    let public = recipient.public().to_bytes();
    assert_eq!(
        HEXLOWER.encode(&public[..16]),
        "f5fb01a5db909ac907ecc9524de9b9ea"
    );
    assert_eq!(
        HEXLOWER.encode(&encapsulated[..16]),
        "26759c7b22923ea5cc9c78e3e14c8fc6"
    );
    assert_eq!(PublicKey::parse(&public), Ok(recipient.public()));
}

/// RFC 9180, appendix A.2.1.1, sequence number 0: the same KDF and AEAD with the KEM of the RFC.
#[test]
fn key_schedule_and_cipher_are_those_of_the_rfc() {
    let key = hex("8057991eef8f1f1af18f4a9491d16a1ce333f695d4db8e38da75975c4478e0fb");
    let encapsulated = hex("1afa08d3dec047a643885163f1180476fa7ddb54c6a8029ea33f95796bf2ac4a");
    let sealed = hex(concat!(
        "1c5250d8034ec2b784ba2cfd69dbdb8af406cfe3ff938e131f0def8c8b60b4db",
        "21993c62ce81883d2dd1b51a28",
    ));
    let opened = hpke::single_shot_open::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
        &OpModeR::Base,
        &<X25519HkdfSha256 as Kem>::PrivateKey::from_bytes(&key).unwrap(),
        &<X25519HkdfSha256 as Kem>::EncappedKey::from_bytes(&encapsulated).unwrap(),
        &hex("4f6465206f6e2061204772656369616e2055726e"),
        &sealed,
        &hex("436f756e742d30"),
    );
    assert_eq!(opened.unwrap(), b"Beauty is truth, truth beauty");
}

/// Sealed by `tests/mail/envelope.mjs`, which has nothing of ours but the document.
#[test]
fn an_envelope_of_another_implementation_opens() {
    let person = Person::new(1);
    let bytes = include_bytes!("../../../../tests/mail/envelope.bin");
    let envelope = Envelope::parse(bytes.as_slice().into()).unwrap();
    let message = person.open(&envelope, &person).unwrap();
    let letter = message.letter();
    assert_eq!(letter.body, Body::Here(b"Subject: x\r\n\r\nhi".to_vec()));
    assert_eq!(
        (letter.id, letter.thread),
        (MessageId([8; 16]), MessageId([9; 16]))
    );
    assert_eq!((letter.sequence, letter.time_millis), (7, NOW * 1000));
}
