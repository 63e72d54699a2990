//! Several models are asked the same at once; one that fails does not lose the others.

use forebay::Client;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = Client::from_env()?;
    let models = ["gpt-4o-mini", "claude-haiku-4-5", "openai/no-such-model"];
    let question = client
        .prompt("What is the capital of France?")
        .max_tokens(20);
    for (model, answer) in client.fan_out(models, question).await {
        match answer {
            Ok(reply) => println!("{model}: {}", reply.text),
            Err(failure) => println!("{model}: {}", failure.kind.label()),
        }
    }
    Ok(())
}
