//! A page of Markdown as a shell script: the blocks that are commands, in their order.

/// A block of commands.
#[derive(Debug)]
struct Block {
    /// Where it begins, counted from 1.
    line: usize,
    /// Shown to readers.
    shown: bool,
    needs_fuse: bool,
    script: String,
}

/// A page's blocks that are to be run.
#[derive(Debug)]
pub struct Page {
    blocks: Vec<Block>,
}

/// Why a page cannot be read.
#[derive(Debug)]
pub struct Unfit {
    pub line: usize,
    pub reason: String,
}

impl Page {
    /// Reads a page.
    pub fn parse(text: &str) -> Result<Self, Unfit> {
        let mut blocks = Vec::new();
        let mut lines = text.lines().enumerate().map(|(at, line)| (at + 1, line));
        while let Some((line, text)) = lines.next() {
            let unfit = |reason: &str| Unfit { line, reason: reason.to_owned() };
            if let Some(hidden) = text.strip_prefix("<!-- run:") {
                let mut script = String::new();
                let mut rest = Some(hidden);
                while let Some(part) = rest {
                    match part.split_once("-->") {
                        Some((last, _)) => {
                            script += last.trim();
                            rest = None;
                        }
                        None => {
                            script = script + part.trim() + "\n";
                            rest = Some(lines.next().ok_or_else(|| unfit("the comment does not end"))?.1);
                        }
                    }
                }
                blocks.push(Block { line, shown: false, needs_fuse: false, script });
            } else if let Some(info) = text.strip_prefix("```") {
                let mut body = Vec::new();
                loop {
                    match lines.next() {
                        None => return Err(unfit("the block does not end")),
                        Some((_, "```")) => break,
                        Some((_, text)) => body.push(text),
                    }
                }
                blocks.extend(block(line, info, &body)?);
            }
        }
        Ok(Self { blocks })
    }

    /// How many shown blocks would run.
    pub fn commands(&self, fuse: bool) -> usize {
        self.blocks.iter().filter(|block| block.shown && (fuse || !block.needs_fuse)).count()
    }

    /// One script of them all, which says where it failed.
    pub fn script(&self, name: &str, fuse: bool) -> String {
        let mut script =
            "set -eu\nAT=start\ntrap 'code=$?; [ $code -eq 0 ] || echo \"failed in $AT\" >&2' EXIT\n".to_owned();
        for block in self.blocks.iter().filter(|block| fuse || !block.needs_fuse) {
            script += &format!("AT={name}:{}\n{}\n", block.line, block.script);
        }
        script
    }
}

/// The block, if it is one to run.
fn block(line: usize, info: &str, body: &[&str]) -> Result<Option<Block>, Unfit> {
    let unfit = |reason: String| Err(Unfit { line, reason });
    let (language, rest) = info.trim().split_once(' ').unwrap_or((info.trim(), ""));
    let script = match language {
        "sh" => body.join("\n"),
        "console" => body.iter().filter_map(|line| line.strip_prefix("$ ")).collect::<Vec<_>>().join("\n"),
        // Commands that nobody runs grow old. A usage line, with `[OPTIONS]`, is no command.
        "" if body.iter().any(|line| line.starts_with("boveda ") && !line.contains("[OPTIONS]")) => {
            return unfit("commands of boveda: label the block `sh`".to_owned());
        }
        _ => return Ok(None),
    };
    let needs_fuse = match rest.trim() {
        "" => false,
        "needs-fuse" => true,
        other => match other.strip_prefix("not-run") {
            Some(why) if why.trim_start_matches(':').trim().is_empty() => {
                return unfit("say why it is not run: ```sh not-run: WHY".to_owned());
            }
            Some(_) => return Ok(None),
            None => return unfit(format!("unknown info {other:?}: needs-fuse, or not-run: WHY")),
        },
    };
    Ok(Some(Block { line, shown: true, needs_fuse, script }))
}
