//! Makes what a web server needs to be a source of a file: `web_seed FILE ADDRESS` writes the tree to put beside it, and
//! prints the link's fragment. With `--sealed` it writes an encrypted copy of the file to be served instead, and its tree.
//!
//! ADDRESS is where the file (or the encrypted copy) will lie. docs/web-seeds.md says what the server must be able to do.

use std::error::Error;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use gyre::proto::link::Link;
use gyre::proto::share::{KEY_LEN, Sealer, ShareHeader, ShareKey};
use gyre::proto::tree::TreeBuilder;
use gyre::proto::types::CHUNK_SIZE;
use gyre::proto::web_source::{self, TREE_SUFFIX, WebSource};
use gyre::proto::web_tree::WebTree;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let sealed = arguments.iter().any(|argument| argument == "--sealed");
    arguments.retain(|argument| argument != "--sealed");
    let [file, address] = &arguments[..] else {
        return Err("usage: web_seed [--sealed] FILE ADDRESS".into());
    };
    let source = WebSource::parse(address).ok_or("the address is no http or https address")?;
    let path = Path::new(file);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let header = ShareHeader::cleaned(&name, "");
    let (served, mut maker) = match sealed {
        false => (path.to_owned(), Maker::default()),
        true => {
            let mut key = [0; KEY_LEN];
            File::open("/dev/urandom")?.read_exact(&mut key)?;
            let (key, copy) = (ShareKey::new(key), beside(path, ".sealed"));
            let sealer = Sealer::new(&key, &header);
            let copying = Maker {
                sealing: Some((key, sealer, File::create(&copy)?)),
                ..Maker::default()
            };
            (copy, copying)
        }
    };
    let mut input = File::open(path)?;
    let mut piece = vec![0; CHUNK_SIZE as usize];
    loop {
        let mut len = 0;
        // A chunk is whole unless the file ends in it.
        while len < piece.len() {
            match input.read(&mut piece[len..])? {
                0 => break,
                more => len += more,
            }
        }
        if len == 0 {
            break;
        }
        maker.content(&piece[..len])?;
    }
    let (tree, key) = maker.finish()?;
    let blob = tree.tree.root();
    std::fs::write(beside(&served, TREE_SUFFIX), tree.encode())?;
    let mut fragment = match key {
        Some(key) => Link::Share { blob, key },
        None => Link::Public { blob, header },
    }
    .fragment();
    web_source::append(&[source], &mut fragment);
    println!("{fragment}");
    Ok(())
}

/// Turns content into the blob's tree, and into a sealed copy where one is wanted.
#[derive(Default)]
struct Maker {
    tree: TreeBuilder,
    last: Bytes,
    sealing: Option<(ShareKey, Sealer, File)>,
}

impl Maker {
    fn content(&mut self, content: &[u8]) -> Result<(), Box<dyn Error>> {
        let mut chunks = Vec::new();
        match &mut self.sealing {
            Some((_, sealer, _)) => sealer.push(content, &mut chunks)?,
            None => chunks.push(Bytes::copy_from_slice(content)),
        }
        self.chunks(chunks)
    }

    fn chunks(&mut self, chunks: Vec<Bytes>) -> Result<(), Box<dyn Error>> {
        for chunk in chunks {
            if let Some((_, _, copy)) = &mut self.sealing {
                copy.write_all(&chunk)?;
            }
            self.tree.push_chunk(&chunk)?;
            self.last = chunk;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<(WebTree, Option<ShareKey>), Box<dyn Error>> {
        let mut key = None;
        if let Some((sealed_with, sealer, copy)) = self.sealing.take() {
            let mut copy = copy;
            for chunk in sealer.finish() {
                copy.write_all(&chunk)?;
                self.tree.push_chunk(&chunk)?;
                self.last = chunk;
            }
            key = Some(sealed_with);
        }
        let tree = WebTree::new(self.tree.finish(), &self.last);
        Ok((tree.ok_or("a blob without a last chunk")?, key))
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
