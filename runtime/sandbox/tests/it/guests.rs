//! Guests written by hand in WebAssembly text, for what Rust cannot do: grow tables, have two memories, run code at the start, lie in a manifest.

use std::fmt::Write;
use std::path::Path;

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// Where the manifest is in the guest's memory; what comes before is the result of a call, all zero.
const MANIFEST: u32 = 1024;
/// Where the parts of a result are, if it has any.
const PART: u32 = 512;
/// Bytes of a part: the variant `tool-content`.
pub(crate) const PART_SIZE: u32 = 36;
/// Where the arguments are in what `call` gets.
const ARGUMENTS: u32 = 84;
/// Bytes of the record `manifest`.
const MANIFEST_SIZE: u32 = 156;

/// A tool plugin by hand.
#[derive(Clone, Default)]
pub(crate) struct Guest {
    /// Interfaces that it imports, in WIT.
    pub(crate) imports: &'static str,
    /// WIT packages of these interfaces that are not the contract's.
    pub(crate) packages: &'static [&'static str],
    /// Further fields of the module; imports of functions must come first.
    pub(crate) fields: String,
    /// What `describe` does before it returns the manifest.
    pub(crate) describe: String,
    /// What `call` does before it returns an empty result.
    pub(crate) call: String,
    /// Locals of `call`.
    pub(crate) locals: String,
    /// What goes on after the result was delivered: a body that ends with a code of the callback (0: done).
    pub(crate) background: Option<String>,
    /// A name of the contract that it has otherwise: in which file below `wit/deps`, which, and how.
    pub(crate) renamed: Option<(&'static str, &'static str, &'static str)>,
    /// How texts are kept in its memory.
    pub(crate) encoding: StringEncoding,
    pub(crate) says: Says,
}

/// What the guest says of itself.
#[derive(Clone)]
pub(crate) struct Says {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) permissions: Vec<(String, String)>,
    pub(crate) limits: Vec<(String, u64)>,
    pub(crate) valves: Option<String>,
    pub(crate) tools: Vec<(String, String)>,
    pub(crate) jobs: Vec<(String, String)>,
}

impl Default for Says {
    fn default() -> Self {
        Self {
            id: "by-hand".into(),
            name: "By hand".into(),
            permissions: Vec::new(),
            limits: Vec::new(),
            valves: None,
            tools: vec![("run".into(), r#"{"type":"object"}"#.into())],
            jobs: Vec::new(),
        }
    }
}

impl Guest {
    pub(crate) fn calls(call: &str) -> Self {
        Self { call: call.into(), ..Self::default() }
    }

    pub(crate) fn with(mut self, fields: &str) -> Self {
        self.fields.push_str(fields);
        self
    }

    /// Gives its arguments back as the text of its result.
    pub(crate) fn echo(encoding: StringEncoding) -> Self {
        let arguments =
            |at: u32| format!("(i32.load (i32.add (local.get 0) (i32.const {})))", ARGUMENTS + at);
        Self { encoding, ..Self::answers(0, &arguments(0), &arguments(4)) }
    }

    /// Answers with one part: this case of `tool-content` with the text of this place and length.
    pub(crate) fn answers(case: u32, at: &str, length: &str) -> Self {
        Self::calls(&format!(
            "(i32.store (i32.const 8) (i32.const {PART})) (i32.store (i32.const 12) (i32.const 1))
             (i32.store (i32.const {PART}) (i32.const {case}))
             (i32.store (i32.const {}) {at}) (i32.store (i32.const {}) {length})",
            PART + 4,
            PART + 8,
        ))
    }

    /// Delivers an empty result, lets go once, and then does this.
    pub(crate) fn goes_on(background: &str) -> Self {
        let mut guest = Self { background: Some(background.into()), ..Self::default() };
        guest.fields = r#"
            (import "[export]innkeeper:plugin/tool@0.1.0" "[task-return]call" (func $return
              (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i64 i32 i32 i32 i32)))
            (import "$root" "[waitable-set-new]" (func $set (result i32)))"#
            .into();
        guest
    }

    pub(crate) fn local(mut self, local: &str) -> Self {
        self.locals.push_str(&format!("(local {local})"));
        self
    }

    pub(crate) fn says(change: impl FnOnce(&mut Says)) -> Self {
        let mut guest = Self::default();
        change(&mut guest.says);
        guest
    }

    /// The component.
    pub(crate) fn build(&self) -> Vec<u8> {
        let mut resolve = Resolve::default();
        let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
        match self.renamed {
            None => drop(resolve.push_dir(&wit).unwrap()),
            Some((file, from, to)) => {
                let directory = tempfile::tempdir().unwrap();
                let copied = directory.path();
                std::fs::create_dir_all(copied.join("deps/types")).unwrap();
                for part in ["", "deps/types"] {
                    for entry in std::fs::read_dir(wit.join(part)).unwrap().map(Result::unwrap) {
                        if entry.path().extension().is_some_and(|extension| extension == "wit") {
                            std::fs::copy(entry.path(), copied.join(part).join(entry.file_name())).unwrap();
                        }
                    }
                }
                let file = copied.join("deps").join(file);
                let text = std::fs::read_to_string(&file).unwrap();
                assert!(text.contains(from), "{from}");
                std::fs::write(&file, text.replace(from, to)).unwrap();
                resolve.push_dir(copied).unwrap();
            }
        }
        for package in self.packages {
            resolve.push_str("package.wit", package).unwrap();
        }
        let world = format!(
            "package test:guest; world guest {{ {} export innkeeper:plugin/plugin@0.1.0; export innkeeper:plugin/tool@0.1.0; }}",
            self.imports
        );
        let package = resolve.push_str("guest.wit", &world).unwrap();
        let world = resolve.select_world(&[package], Some("guest")).unwrap();
        let mut module = wat::parse_str(self.module()).unwrap();
        embed_component_metadata(&mut module, &resolve, world, self.encoding).unwrap();
        ComponentEncoder::default().module(&module).unwrap().validate(true).encode().unwrap()
    }

    fn run(&self) -> String {
        let (locals, call) = (&self.locals, &self.call);
        let Some(background) = &self.background else {
            return format!(
                r#"(func (export "innkeeper:plugin/tool@0.1.0#call") (param i32) (result i32)
                     {locals} {call} (i32.const 0))"#
            );
        };
        let zeros = "(i32.const 0)".repeat(11) + "(i64.const 0)" + &"(i32.const 0)".repeat(4);
        format!(
            r#"(func (export "[async-lift]innkeeper:plugin/tool@0.1.0#call") (param i32) (result i32)
                 {locals}
                 (call $return {zeros})
                 {call}
                 (i32.const 1))
               (func (export "[callback][async-lift]innkeeper:plugin/tool@0.1.0#call") (param i32 i32 i32) (result i32)
                 {background})"#
        )
    }

    fn module(&self) -> String {
        let data = self.says.data(self.encoding);
        let end = MANIFEST as usize + data.len();
        let pages = end.div_ceil(65_536) + 1;
        let mut text = String::new();
        for byte in data {
            write!(text, "\\{byte:02x}").unwrap();
        }
        format!(
            r#"(module
              {fields}
              (memory (export "memory") {pages})
              (global $next (mut i32) (i32.const {end}))
              (data (i32.const {MANIFEST}) "{text}")
              (func (export "cabi_realloc") (param $old i32) (param $old_size i32) (param $align i32) (param $size i32) (result i32)
                (local $at i32)
                (if (i32.and (i32.ne (local.get $old_size) (i32.const 0)) (i32.le_u (local.get $size) (local.get $old_size)))
                  (then (return (local.get $old))))
                (local.set $at (i32.and (i32.add (global.get $next) (i32.const 15)) (i32.const -16)))
                (global.set $next (i32.add (local.get $at) (local.get $size)))
                (if (i32.gt_u (global.get $next) (i32.mul (memory.size) (i32.const 65536)))
                  (then (drop (memory.grow (i32.add (i32.div_u (local.get $size) (i32.const 65536)) (i32.const 1))))))
                (memory.copy (local.get $at) (local.get $old) (local.get $old_size))
                (local.get $at))
              (func (export "innkeeper:plugin/plugin@0.1.0#describe") (result i32)
                {describe}
                (i32.const {MANIFEST}))
              {run})"#,
            fields = self.fields,
            describe = self.describe,
            run = self.run(),
        )
    }
}

impl Says {
    /// The record as the canonical ABI lays it out at `MANIFEST`, with everything that it points to.
    fn data(&self, encoding: StringEncoding) -> Vec<u8> {
        let mut data = Data { bytes: vec![0; MANIFEST_SIZE as usize], encoding };
        data.text(0, &self.id);
        data.text(8, &self.name);
        data.text(16, "1.0.0");
        data.text(24, "A guest by hand");
        data.list(64, self.permissions.len(), 20, |data, at, index| {
            data.text(at, &self.permissions[index].0);
            data.text(at + 8, &self.permissions[index].1);
        });
        data.list(72, self.limits.len(), 16, |data, at, index| {
            data.text(at, &self.limits[index].0);
            data.put(at + 8, &self.limits[index].1.to_le_bytes());
        });
        if let Some(valves) = &self.valves {
            data.put(80, &[1]);
            data.text(84, valves);
        }
        data.list(104, self.tools.len(), 28, |data, at, index| {
            data.text(at, &self.tools[index].0);
            data.text(at + 8, "Does something");
            data.text(at + 16, &self.tools[index].1);
        });
        data.list(120, self.jobs.len(), 24, |data, at, index| {
            data.text(at, &self.jobs[index].0);
            data.text(at + 8, "A job");
            data.text(at + 16, &self.jobs[index].1);
        });
        data.bytes
    }
}

/// Bytes from `MANIFEST` on.
struct Data {
    bytes: Vec<u8>,
    encoding: StringEncoding,
}

impl Data {
    fn put(&mut self, at: usize, bytes: &[u8]) {
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn pointer(&mut self, at: usize, to: usize, length: usize) {
        self.put(at, &(MANIFEST + to as u32).to_le_bytes());
        self.put(at + 4, &(length as u32).to_le_bytes());
    }

    fn text(&mut self, at: usize, text: &str) {
        self.bytes.resize(self.bytes.len().next_multiple_of(2), 0);
        let to = self.bytes.len();
        let (bytes, length) = encoded(text, self.encoding);
        self.bytes.extend(bytes);
        self.pointer(at, to, length);
    }

    fn list(&mut self, at: usize, length: usize, size: usize, item: impl Fn(&mut Self, usize, usize)) {
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
        let to = self.bytes.len();
        self.bytes.resize(to + length * size, 0);
        self.pointer(at, to, length);
        for index in 0..length {
            item(self, to + index * size, index);
        }
    }
}

/// A text as a guest keeps it, and its length as the guest counts it.
fn encoded(text: &str, encoding: StringEncoding) -> (Vec<u8>, usize) {
    let wide = || text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    match encoding {
        StringEncoding::UTF8 => (text.into(), text.len()),
        StringEncoding::UTF16 => (wide(), text.encode_utf16().count()),
        StringEncoding::CompactUTF16 => {
            match text.chars().map(u8::try_from).collect::<Result<Vec<u8>, _>>() {
                Ok(narrow) => (narrow.clone(), narrow.len()),
                Err(_) => (wide(), text.encode_utf16().count() | WIDE),
            }
        }
    }
}

/// Marks a length of `CompactUTF16` as one of 16-bit units.
const WIDE: usize = 1 << 31;
