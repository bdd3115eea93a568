//! Fixed vectors of the content formats (`docs/formats.md`). They were computed with other programs: BLAKE3's own
//! reference implementation and a straight transcription of its paper, libsodium for the cipher, plain base32 and base64.
//! A vector that changes means that files and links in the world no longer open: that takes a new version, not a new
//! vector.

#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use data_encoding::HEXLOWER;
use gyre::proto::link::{Link, LinkError, LinkKind, blob_cid, parse_cid};
use gyre::proto::share::{ContentMap, Opener, Sealer, ShareHeader, ShareKey};
use gyre::proto::tree::{Tree, TreeBuilder, verify_chunk};
use gyre::proto::types::{BlobHash, BlobSize, CHUNK_SIZE, ChunkIndex};

const CHUNK: usize = CHUNK_SIZE as usize;

/// The input of BLAKE3's official test vectors.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at % 251) as u8).collect()
}

fn build(data: &[u8]) -> Tree {
    let mut builder = TreeBuilder::new();
    for chunk in data.chunks(CHUNK) {
        builder.push_chunk(chunk).unwrap();
    }
    builder.finish()
}

fn hash(hex: &str) -> BlobHash {
    BlobHash(unhex(hex).try_into().unwrap())
}

fn unhex(hex: &str) -> Vec<u8> {
    HEXLOWER.decode(hex.as_bytes()).unwrap()
}

#[test]
fn blob_addresses() {
    for (len, root) in [
        (
            0,
            "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
        ),
        (
            1,
            "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213",
        ),
        (
            1024,
            "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7",
        ),
        (
            1025,
            "d00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444",
        ),
        (
            CHUNK,
            "d57dc906e20d3fd326ffaa85535500486f46a0979f5a323f028dcabfd381fd4a",
        ),
        (
            CHUNK + 1,
            "531c319935cf78f34869faebd865e5748266b1799039103bfb851a680d9ed30c",
        ),
        (
            5 * CHUNK,
            "6ca4eb1afb60aacbd54aa737adc545f5ebfbf80edbde1189bbaea579268b07d9",
        ),
    ] {
        assert_eq!(build(&pattern(len)).root().to_string(), root, "{len} bytes");
    }
}

#[test]
fn chunk_tree_and_proofs() {
    let chunk0 = "69febc864103726f98eba5f7437ed4da193c9d6cb02d46036729c1ea9dc3ffad";
    let chunk1 = "fbdad66a00633e69d549ba33eea2a863640581ce5e5f58b15125cc71f674a33c";
    let chunk2 = "eae1100ce459b8c2302dd97e0a6dd8223204356d4c8b72089e654c2d350f2876";
    let above_0_1 = "d6e5fed3f31a513c1ff297ed6bba1a203f493c5a4220e5af3622bc2310b02643";
    let root = hash("e763b8a06ceff6ddb46e264fd7b83ef29bfaa58dc4a04b1421cdbfad34fa5fd8");

    let data = pattern(2 * CHUNK + 1000);
    let size = BlobSize::new(data.len() as u64).unwrap();
    let encoded = unhex(&[chunk0, chunk1, chunk2].concat());
    assert_eq!(build(&data).root(), root);
    assert_eq!(build(&data).encode(), encoded);
    let tree = Tree::decode(root, size, &encoded).unwrap();
    let proofs = [
        [chunk1, chunk2].concat(),
        [chunk0, chunk2].concat(),
        above_0_1.to_owned(),
    ];
    for (index, (proof, chunk)) in (0..)
        .map(ChunkIndex)
        .zip(proofs.iter().zip(data.chunks(CHUNK)))
    {
        assert_eq!(tree.proof(index).unwrap(), unhex(proof), "chunk {index}");
        verify_chunk(root, size, index, chunk, &unhex(proof)).unwrap();
    }

    let single = build(&pattern(CHUNK));
    assert_eq!(single.encode()[..], single.root().0);
    assert_eq!(single.proof(ChunkIndex(0)).unwrap(), Bytes::new());
}

fn key() -> ShareKey {
    ShareKey::new(std::array::from_fn(|at| at as u8))
}

fn seal(name: &str, media_type: &str, content: &[u8]) -> Vec<Bytes> {
    let mut sealer = Sealer::new(&key(), &ShareHeader::new(name, media_type).unwrap());
    let mut chunks = Vec::new();
    sealer.push(content, &mut chunks).unwrap();
    chunks.extend(sealer.finish());
    chunks
}

#[test]
fn small_share() {
    let sealed = unhex(
        "4574dd9243d640f31a59a63e51172dca251aad5a7f9ddf44646e0fa75770bbb51c1bcbe60e03aabf02970172\
         2251bc18cdb3ef2c34c311e7396771fe5b44c255525708",
    );
    let plain = [
        unhex("00000023a3617601646e616d656968656c6c6f2e74787464747970656a746578742f706c61696e"),
        b"hello, gyre\n".to_vec(),
    ]
    .concat();
    assert_eq!(
        seal("hello.txt", "text/plain", b"hello, gyre\n"),
        [&sealed[..]]
    );

    let size = BlobSize::new(sealed.len() as u64).unwrap();
    let opened = Opener::new(&key(), size)
        .open_chunk(ChunkIndex(0), &sealed)
        .unwrap();
    assert_eq!(opened, plain);
    let (header, header_len) = Opener::header(&opened).unwrap();
    assert_eq!(
        (header.name(), header.media_type()),
        ("hello.txt", "text/plain")
    );
    assert_eq!(header_len, 39);
    assert_eq!(
        ContentMap::sealed(size, header_len).unwrap().content_size(),
        12
    );
}

#[test]
fn empty_share() {
    let sealed = "4574dda143d640f31a59a63e511e21db3006a7149b714182d890d44d6c9741ae3dfaa0e1";
    assert_eq!(seal("", "", b""), [&unhex(sealed)[..]]);
}

#[test]
fn share_of_three_chunks() {
    let chunks = seal("a.bin", "application/x", &pattern(2 * CHUNK));
    let hashes: Vec<_> = chunks
        .iter()
        .map(|chunk| blake3::hash(chunk).to_string())
        .collect();
    assert_eq!(
        hashes,
        [
            "faa95644f1581ceccba615fa08788e71c064fc3e6af92187d8986bcf3a284550",
            "0bd3a0cf00e5a8bd778771bbd19f78479a6be329a2ad314a16b306b50f97824d",
            "389dbaa8762322c7e8b38a7d0afdd88196452052a2167c4f7d92a5edf6612dde",
        ]
    );
    let lengths: Vec<_> = chunks.iter().map(Bytes::len).collect();
    assert_eq!(lengths, [CHUNK, CHUNK, 86]);
    let blob = hash("6dd037d22a8f7dbde779afe803362ea949ead1f32fa213675f8fdc0cd6d36956");
    assert_eq!(build(&chunks.concat()).root(), blob);
}

#[test]
fn cids_and_links() {
    let empty = hash("af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262");
    let cid = "bafkr4ifpcne3t5pzugtkaqcn5i3nzskjtpfslsnnyejlpte2spfoihzsmi";
    assert_eq!(blob_cid(empty), cid);
    assert_eq!(parse_cid(cid), Ok(empty));

    let blob = hash("d2ed9a7c6693b372259531da8c838050d2eee696489c121d90e6e027161a21d7");
    let share = "https://gyre.example/#/f/bafkr4igs5wnhyzutwnzclfjr3kgihacq2lxonfsitqjb3ehg4atrmgrb24\
                 ?k=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
    let link = Link::Share { blob, key: key() };
    assert_eq!(link.url("https://gyre.example"), share);
    assert_eq!(Link::parse(share), Ok(link));

    let blob = hash("d6048ceb803db165d756318384284b8cd4147ac92646be4f23526fe86f879417");
    let public = "https://gyre.example/#/f/bafkr4igwasgoxab5wfs5ovrrqoccqs4m2qkhvsjgi27e6i2sn7ug7b4uc4\
                  ?n=Gr%C3%B6%C3%9Fe.txt&t=text%2Fplain";
    let link = Link::Public {
        blob,
        header: ShareHeader::new("Größe.txt", "text/plain").unwrap(),
    };
    assert_eq!(link.url("https://gyre.example"), public);
    assert_eq!(Link::parse(public), Ok(link));

    let site = Link::parse("https://gyre.example/#/s/k51qzi5uqu5dh/");
    assert_eq!(site, Err(LinkError::Unsupported(LinkKind::Site)));
}
