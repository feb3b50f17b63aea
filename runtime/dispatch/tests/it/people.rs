//! Roles that another program changes, which tells nobody, as Open WebUI does on a database that is shared with it.

use std::time::Duration;

use innkeeper_dispatch::TurnHandle;

use crate::world::{World, plugin, read, world};

async fn by_hand(world: &World, sql: &'static str) {
    sqlx::query(sql).bind(world.ada.as_str()).execute(world.sqlite()).await.unwrap();
}

async fn ends(handle: TurnHandle) -> &'static str {
    tokio::time::timeout(Duration::from_secs(4), read(handle)).await.unwrap().error().code()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_that_another_program_changes_ends_the_persons_turns() {
    let world = world().plugin(plugin("misbehave")).build().await;
    let generation = world.store.plugins().generation().await.unwrap();
    let of_bob = innkeeper_dispatch::ChatTurn {
        principal: innkeeper_model::Principal::person(
            world.bob.clone(),
            innkeeper_model::principal::Role::User,
        ),
        ..world.turn("misbehave", "feed:wait")
    };
    let _bob = world.dispatch.chat(of_bob).await.unwrap();
    for sql in [
        "UPDATE user SET role = 'pending' WHERE id = ?",
        "UPDATE user SET role = 'admin' WHERE id = ?",
        "DELETE FROM user WHERE id = ?",
    ] {
        by_hand(&world, "UPDATE user SET role = 'user' WHERE id = ?").await;
        let turns = [
            world.dispatch.chat(world.turn("misbehave", "feed:wait")).await.unwrap(),
            world.dispatch.chat(world.turn("misbehave", "feed:wait")).await.unwrap(),
        ];
        by_hand(&world, sql).await;
        for turn in turns {
            assert_eq!(ends(turn).await, "cancelled", "{sql}");
        }
    }
    assert_eq!(world.store.plugins().generation().await.unwrap(), generation);
    // The end of a turn is told a moment before its task is over.
    crate::world::soon("the others are over", || world.dispatch.running() < 2).await;
    assert_eq!(world.dispatch.running(), 1, "Bob's goes on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn roles_cost_nothing_while_nothing_runs_and_one_statement_a_second_else() {
    let world = world().plugin(plugin("misbehave")).build().await;
    let statements = async || {
        let before = world.store.statements();
        tokio::time::sleep(Duration::from_millis(3_100)).await;
        world.store.statements() - before
    };
    assert_eq!(statements().await, 0);
    let mut turns = Vec::new();
    for _ in 0..5 {
        turns.push(world.dispatch.chat(world.turn("misbehave", "feed:wait")).await.unwrap());
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let sent = statements().await;
    assert!((2..=4).contains(&sent), "{sent}");
}
