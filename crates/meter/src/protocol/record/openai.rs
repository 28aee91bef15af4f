//! Records of `/v1`, except `/v1/messages`.

use super::super::json::{Broken, Cursor, ROOM, Text};
use super::{
    FinishReason,
    draft::{Draft, read_reason, read_usage},
};

/// The last event of `/v1/chat/completions` and `/v1/completions`, which is not JSON.
pub(super) const DONE: &[u8] = b"[DONE]";

/// Reads one record, or a whole response.
pub(super) fn read(value: &mut Cursor<'_>) -> Result<Draft, Broken> {
    let mut draft = Draft::default();
    let mut event = Text::default();
    let mut has_delta = false;
    let mut has_text = false;
    let mut response = None;
    let mut incomplete = None;
    value.object(|value, key| {
        match key {
            b"choices" => value.array(|choice| read_choice(choice, &mut draft))?,
            b"usage" => draft.usage = read_usage(value)?,
            b"error" => draft.error = value.is_some()?,
            b"type" => event = value.text()?.unwrap_or_default(),
            b"delta" => has_delta = value.is_text()?,
            b"response" => response = Some(value.raw()?),
            // The items of a whole response of /v1/responses.
            b"output" => value.array(|item| read_item(item, &mut draft))?,
            // The images of a whole response. Embeddings are in a list with this name too.
            b"data" => value.array(|image| read_image(image, &mut draft))?,
            b"text" => has_text = value.is_text()?,
            // Of a whole response of /v1/responses.
            b"status" => draft.finish = read_reason(value)?.or(draft.finish),
            b"incomplete_details" => incomplete = read_incomplete(value)?,
            _ => value.skip()?,
        }
        Ok(())
    })?;
    draft.finish = incomplete.or(draft.finish);
    let mut room = ROOM;
    match event.said(&mut room) {
        b"response.output_text.delta" => draft.content = has_delta,
        // A call without arguments is a call.
        b"response.function_call_arguments.delta" => draft.tool_call = true,
        b"response.completed" | b"response.incomplete" | b"response.failed" => {
            draft.terminal = true;
            if let Some(response) = response {
                read_response(response, &mut draft)?;
            }
        }
        b"error" => draft.error = true,
        // reasoning_text, reasoning_summary_text, and similar names of later versions.
        event if event.starts_with(b"response.reasoning") && event.ends_with(b"delta") => {
            draft.thinking = has_delta;
        }
        // A transcription. Events of a stream repeat the text of their deltas in a field with this name.
        b"" => draft.content |= has_text,
        _ => {}
    }
    Ok(draft)
}

/// Reads an item of a whole response of /v1/responses.
fn read_item(value: &mut Cursor<'_>, draft: &mut Draft) -> Result<(), Broken> {
    draft.content = true;
    value.object(|value, key| {
        match key {
            b"type" => {
                let mut room = ROOM;
                let is_call = |kind: Text<'_>| kind.said(&mut room) == b"function_call";
                draft.tool_call |= value.text()?.is_some_and(is_call);
            }
            _ => value.skip()?,
        }
        Ok(())
    })
}

fn read_image(value: &mut Cursor<'_>, draft: &mut Draft) -> Result<(), Broken> {
    value.object(|value, key| {
        match key {
            b"b64_json" | b"url" => draft.content |= value.is_text()?,
            _ => value.skip()?,
        }
        Ok(())
    })
}

fn read_choice(value: &mut Cursor<'_>, draft: &mut Draft) -> Result<(), Broken> {
    value.object(|value, key| {
        match key {
            b"delta" | b"message" => read_message(value, draft)?,
            b"text" => draft.content |= value.is_text()?,
            b"finish_reason" => draft.finish = read_reason(value)?.or(draft.finish),
            _ => value.skip()?,
        }
        Ok(())
    })
}

fn read_message(value: &mut Cursor<'_>, draft: &mut Draft) -> Result<(), Broken> {
    value.object(|value, key| {
        match key {
            b"content" => draft.content |= value.is_text()?,
            b"reasoning" | b"reasoning_content" => draft.thinking |= value.is_text()?,
            b"tool_calls" => draft.tool_call |= value.is_list()?,
            _ => value.skip()?,
        }
        Ok(())
    })
}

/// Reads the response that the last event of a stream of `/v1/responses` carries.
fn read_response(response: &[u8], draft: &mut Draft) -> Result<(), Broken> {
    let mut incomplete = None;
    Cursor::new(response).object(|value, key| {
        match key {
            b"usage" => draft.usage = read_usage(value)?,
            b"status" => draft.finish = read_reason(value)?,
            b"incomplete_details" => incomplete = read_incomplete(value)?,
            _ => value.skip()?,
        }
        Ok(())
    })?;
    draft.finish = incomplete.or(draft.finish);
    Ok(())
}

/// Reads the reason for which a response of `/v1/responses` is incomplete.
fn read_incomplete(value: &mut Cursor<'_>) -> Result<Option<FinishReason>, Broken> {
    let mut reason = None;
    value.object(|value, key| match key {
        b"reason" => read_reason(value).map(|read| reason = read),
        _ => value.skip(),
    })?;
    Ok(reason)
}
