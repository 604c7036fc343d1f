//! The program.
fn main() -> anyhow::Result<()> {
    wardian::engine::compile::job::run()
}
