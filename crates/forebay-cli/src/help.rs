//! Longer texts of `--help`.

/// After the flags of `run`; the codes and variables are those of `exit_code` and `env_vars`.
pub(crate) const RUN_AFTER: &str = "\
Running the same command again goes on where the last one ended: finished rows
are kept, the rest is sent. The journal beside the output (OUTPUT.journal)
makes that safe at any moment, kill -9 included.

Examples:
  forebay run tickets.txt -m gpt-4o-mini -o out.jsonl \\
      -p \"Label as billing, bug or other: {{ text }}\"
  forebay run rows.csv -m claude-haiku-4-5 --max-cost 5 -o out.csv \\
      -p \"Translate into French: {{ title }}\" --max-tokens 200
  cat q.jsonl | forebay run - -m sim/gpt-4o > answers.jsonl
  forebay run in.jsonl -m ollama/llama3 -o out.jsonl
  forebay run in.jsonl -m my-model --provider openai \\
      --base-url http://gpu-box:9000/v1 -o out.jsonl

Exit codes: 0 all rows ok; 1 some rows failed; 2 wrong usage; 3 file trouble;
4 stopped early with rows pending; 130/143 interrupted; 141 nobody reads stdout.

Environment: the variables of the provider (`forebay providers` lists them, with
all names for PROVIDER/NAME), FOREBAY_CONFIG, SSL_CERT_FILE.
SIGUSR1 shows the limits and the attempts in flight.";

/// After the flags of `tune`.
pub(crate) const TUNE_AFTER: &str = "\
Without a flag it shows what holds. What is not named stays as it is, and none
lifts a rate. Attempts in flight go on, and what was used of a rate or a day
stays used. The changes hold until the run ends.

Examples:
  forebay tune out.jsonl
  forebay tune out.jsonl --concurrency 50 --rpm 900
  forebay tune out.jsonl --concurrency auto --rpm none

Exit codes: 0 it holds; 2 wrong usage, or no job is running on the journal;
3 file trouble, or the job does not answer.";

/// After the flags of `ask`.
pub(crate) const ASK_AFTER: &str = "\
One model's answer is shown as it comes. Of several, each is shown when it is
there, with its time, tokens and cost; one that fails holds up no other.

Examples:
  forebay ask -m gpt-4o-mini \"Why is the sky blue?\"
  forebay ask -m claude-sonnet-4-5 -m gpt-4o -m gemini-3.8-flash \"Name a fish.\"
  forebay ask -m ollama/llama3.2 \"Sum this up\" < report.txt
  forebay ask -m gpt-4o --image chart.png --schema chart.schema.json \"Read it\"

Exit codes: 0 all answered; 1 some failed; 2 wrong usage; 3 file trouble;
130/143 interrupted; 141 nobody reads stdout.";

/// After the flags of `sim`.
pub(crate) const SIM_AFTER: &str = "\
Speaks three dialects, streams included; the answers are made up:
  OpenAI     http://127.0.0.1:PORT/v1  chat completions, responses, embeddings,
             models, files, batches
  Anthropic  http://127.0.0.1:PORT  messages, token counts, message batches
  Gemini     http://127.0.0.1:PORT  generateContent, countTokens
Also /health and, with a profile that batches, /metrics.

Example:
  forebay sim --port 8787 --rpm 600 --error 500=0.02 --log sim.log &
  OPENAI_API_KEY=x forebay run tickets.txt -m gpt-4o-mini \\
      --base-url http://127.0.0.1:8787/v1 -o out.jsonl
  forebay run tickets.txt -m sim/fault-503:1 -o out.jsonl";

/// After the flags of `sim check`.
pub(crate) const CHECK_AFTER: &str = "\
Prints each violation with its place, then for each invariant what was checked
and what was not, and why. Run forebay with --keep-journal, so that the records
of a complete run are there to be checked.

Exit codes: 0 nothing is violated; 1 something is; 2 wrong usage; 3 file
trouble.

Example:
  forebay sim --log sim.log --error 500=0.05 --cut 0.02 &
  OPENAI_API_KEY=my-key forebay run in.txt -m gpt-4o-mini -c 20 \\
      --base-url http://127.0.0.1:8787/v1 -o out.jsonl --keep-journal
  OPENAI_API_KEY=my-key forebay sim check --log sim.log --results out.jsonl \\
      --max-in-flight 20 --exit-code $? --secret-env OPENAI_API_KEY";

/// After the flags of `sim proxy`.
pub(crate) const PROXY_AFTER: &str = "\
Example:
  forebay sim --port 8787 &
  forebay sim proxy --to 127.0.0.1:8787 --latency 200ms --jitter 50ms \\
      --reset-after 4096 --toxicity 0.05 &
  OPENAI_API_KEY=x forebay run tickets.txt -m gpt-4o-mini \\
      --base-url http://127.0.0.1:8788/v1 -o out.jsonl";
