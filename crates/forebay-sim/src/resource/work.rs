//! Works off one request of a batch.
//!
//! Owns the way of a request that came without a connection. Never counts it against the limits
//! of the account; batches have their own.

use std::sync::Arc;

use crate::dialect::{Around, Operation};
use crate::faults::decide;
use crate::log::key_of;
use crate::plan::{Order, Planner};
use crate::script::{Action, Call, Oddity};
use crate::sim::Shared;
use crate::ticket::Ticket;

/// The connection's number in the log and in scripts: there is none.
const NO_CONNECTION: u64 = 0;

/// The outcome of one request of a batch; `None` if it got no answer, say by a reset.
pub(super) type Worked = Option<(u16, Vec<u8>)>;

/// Takes the back end's time for one request and answers it in one piece.
///
/// A request that is stalled takes until the task is dropped.
pub(super) async fn work(
    shared: &Arc<Shared>,
    operation: Operation,
    around: Around<'_>,
    body: &[u8],
) -> Worked {
    let mut answer = Vec::new();
    let mut ticket = Ticket::open(shared, operation);
    let parsed = operation.parse(around, body);
    let key = key_of(body);
    let sighting = shared.seen.count(key);
    ticket.body = Some((key, sighting.seen));
    let call = Call {
        seq: ticket.seq,
        seen: sighting.seen,
        prompt: &parsed.ask.prompt,
        answers: parsed.ask.answers,
        model: &parsed.ask.model,
        since_start: ticket.received,
        dialect: operation.dialect(),
        operation,
        connection: NO_CONNECTION,
        nth_on_connection: 0,
        key,
        row: sighting.row,
        streamed: false,
        wall: shared.wall(ticket.received),
    };
    let action = off_the_wire(decide(shared, &call));
    let mut planner = Planner {
        shared,
        ticket: &mut ticket,
        parsed: &parsed,
        bad_key: None,
        metered: false,
        body: &mut answer,
    };
    let plan = planner.plan(action);
    ticket.log(NO_CONNECTION, &parsed.ask);
    tokio::time::sleep(plan.delay).await;
    match plan.order {
        Order::Answer(head) => {
            ticket.answered(head.status);
            Some((head.status, answer))
        }
        Order::Generate(mut generation) => {
            let tokens = generation.completion.output_tokens;
            generation.pace.reach(tokens).await;
            generation.completion.cached_tokens = generation.pace.cached_tokens();
            let completion = &generation.completion;
            let told = completion.told_status();
            match completion.oddity {
                Some(Oddity::ErrorInside(status)) => {
                    operation.error_inside(None, &mut answer, completion, status);
                }
                _ => operation.completion(&mut answer, completion),
            }
            ticket.settle(shared.since_start());
            ticket.answered(told);
            // A response that failed is an answer for all that.
            let status = match operation == Operation::Responses {
                true => 200,
                false => told,
            };
            Some((status, answer))
        }
        Order::Raw(_) | Order::Reset | Order::Endless(_) => None,
        Order::Stall => std::future::pending().await,
    }
}

/// What befalls bytes on their way befalls no request of a batch: its answer is in a file.
fn off_the_wire(action: Action) -> Action {
    match action {
        Action::Named {
            fault,
            spoils,
            then,
        } => match off_the_wire(*then) {
            Action::Answer => Action::Answer,
            then => then.named(fault, spoils),
        },
        Action::DelayThen(delay, then) => off_the_wire(*then).after(delay),
        Action::Spoilt(_)
        | Action::Shaped(_)
        | Action::CutAfter(_)
        | Action::CloseAfterAnswer
        | Action::Answer => Action::Answer,
        Action::AnswerText(_)
        | Action::Reply { .. }
        | Action::Error { .. }
        | Action::Reset
        | Action::Odd(_)
        | Action::Stall
        | Action::Raw(_)
        | Action::Endless(_) => action,
    }
}
