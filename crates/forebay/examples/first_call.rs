//! The shortest program: one question, one answer.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = forebay::Client::from_env()?;
    let reply = client.chat("gpt-4o-mini").user("Say hello.").send().await?;
    println!("{}", reply.text);
    Ok(())
}
