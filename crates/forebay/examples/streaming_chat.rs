//! A chat in the terminal: the answer appears as it is written, then what it cost.

use std::io::Write as _;

use forebay::Client;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = Client::from_env()?;
    let request = client
        .chat("claude-haiku-4-5")
        .user("Tell me a very short story.");
    let mut stream = request.max_tokens(300).stream();
    while let Some(text) = stream.next_text().await {
        print!("{}", text?);
        std::io::stdout().flush()?;
    }
    let reply = stream.finish().await?;
    let cost = reply.cost.map_or("unknown".into(), |cost| cost.to_string());
    println!(
        "\n[{} tokens out, ${cost}]",
        reply.usage.unwrap_or_default().output_tokens
    );
    Ok(())
}
