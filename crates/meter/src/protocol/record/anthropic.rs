//! Records of `/v1/messages`.

use super::super::json::{Broken, Cursor, ROOM, Text};
use super::draft::{Draft, read_reason, read_usage};

/// Reads one record, or a whole response. `message_delta` reports the usage when it is known. The usage in
/// `message_start` is an estimate, which is not charged.
pub(super) fn read(value: &mut Cursor<'_>) -> Result<Draft, Broken> {
    let mut draft = Draft::default();
    let mut event = Text::default();
    let mut delta = Draft::default();
    let mut is_tool_use = false;
    value.object(|value, key| {
        match key {
            b"type" => event = value.text()?.unwrap_or_default(),
            b"delta" => delta = read_delta(value)?,
            b"content_block" => is_tool_use = read_is_tool_use(value)?,
            b"usage" => draft.usage = read_usage(value)?,
            b"error" => draft.error = value.is_some()?,
            // Of a whole response.
            b"stop_reason" => draft.finish = read_reason(value)?,
            // The blocks of a whole response.
            b"content" => draft.content = value.is_list()?,
            _ => value.skip()?,
        }
        Ok(())
    })?;
    let mut room = ROOM;
    match event.said(&mut room) {
        b"content_block_delta" => {
            draft.content = delta.content;
            draft.thinking = delta.thinking;
        }
        // The call is counted here, once. Its arguments follow in any number of deltas, or in none if the call has no
        // arguments. A delta with arguments is not a content record.
        b"content_block_start" => draft.tool_call = is_tool_use,
        b"message_delta" => draft.finish = delta.finish,
        b"message_stop" => draft.terminal = true,
        b"error" => draft.error = true,
        _ => {}
    }
    Ok(draft)
}

fn read_delta(value: &mut Cursor<'_>) -> Result<Draft, Broken> {
    let mut delta = Draft::default();
    value.object(|value, key| {
        match key {
            b"text" => delta.content = value.is_text()?,
            b"thinking" => delta.thinking = value.is_text()?,
            b"stop_reason" => delta.finish = read_reason(value)?,
            _ => value.skip()?,
        }
        Ok(())
    })?;
    Ok(delta)
}

/// Whether it is `tool_use`, or the `server_tool_use` of a search.
fn read_is_tool_use(value: &mut Cursor<'_>) -> Result<bool, Broken> {
    let mut is_tool_use = false;
    value.object(|value, key| match key {
        b"type" => {
            let mut room = ROOM;
            value.text().map(|kind| {
                is_tool_use = kind.is_some_and(|kind| kind.said(&mut room).ends_with(b"tool_use"))
            })
        }
        _ => value.skip(),
    })?;
    Ok(is_tool_use)
}
