//! Records of `/api/…`.

use std::time::Duration;

use super::super::json::{Broken, Cursor, ROOM, Text};
use super::super::{Usage, parse_timestamp};
use super::{FinishReason, draft::Draft};

/// Reads one record, or a whole response. The response to an embedding has counts without `done`.
pub(super) fn read(value: &mut Cursor<'_>, whole: bool) -> Result<Draft, Broken> {
    let mut draft = Draft::default();
    let mut done = false;
    let mut success = false;
    let mut told = Usage::default();
    let mut reason = Text::default();
    let mut room = ROOM;
    value.object(|value, key| {
        match key {
            b"created_at" => {
                draft.created_at = value.text()?.and_then(|time| parse_timestamp(time.said(&mut room)))
            }
            b"done" => done = value.is_true()?,
            b"response" => draft.content = value.is_text()?,
            b"thinking" => draft.thinking = value.is_text()?,
            b"message" => message(value, &mut draft)?,
            b"error" => draft.error = value.is_some()?,
            b"status" => success = value.text()?.is_some_and(|status| status.said(&mut room) == b"success"),
            b"done_reason" => reason = value.text()?.unwrap_or_default(),
            b"prompt_eval_count" => told.prompt_tokens = value.count()?,
            b"prompt_eval_cached_count" => told.prompt_cached_tokens = value.count()?,
            b"eval_count" => told.output_tokens = value.count()?,
            b"total_duration" => told.total = duration(value, &mut told.has_invalid_duration)?,
            b"load_duration" => told.load = duration(value, &mut told.has_invalid_duration)?,
            b"prompt_eval_duration" => told.prompt_eval = duration(value, &mut told.has_invalid_duration)?,
            b"eval_duration" => told.eval = duration(value, &mut told.has_invalid_duration)?,
            _ => value.skip()?,
        }
        Ok(())
    })?;
    draft.terminal = done || success;
    if done {
        draft.finish = FinishReason::read(reason.said(&mut room));
    }
    if matches!(draft.finish, Some(FinishReason::Load | FinishReason::Unload)) {
        // Nothing was generated, whatever the counts are.
        told = Usage { total: told.total, load: told.load, ..Usage::default() };
    }
    if done || whole {
        draft.usage = told;
    }
    Ok(draft)
}

fn message(value: &mut Cursor<'_>, draft: &mut Draft) -> Result<(), Broken> {
    value.object(|value, key| {
        match key {
            b"content" => draft.content = value.is_text()?,
            b"thinking" => draft.thinking = value.is_text()?,
            b"tool_calls" => draft.tool_call = value.is_list()?,
            _ => value.skip()?,
        }
        Ok(())
    })
}

/// Reads nanoseconds. Sets `is_invalid` if the value is not a duration.
fn duration(value: &mut Cursor<'_>, is_invalid: &mut bool) -> Result<Option<Duration>, Broken> {
    let told = value.count()?.map(Duration::from_nanos);
    *is_invalid |= told.is_none();
    Ok(told)
}
