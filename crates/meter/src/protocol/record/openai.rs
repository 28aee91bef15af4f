//! Records of `/v1`, except `/v1/messages`.

use super::super::Usage;
use super::super::json::{Broken, Cursor, ROOM, Text};
use super::draft::{Draft, read_usage};

/// The last event of `/v1/chat/completions` and `/v1/completions`, which is not JSON.
pub(super) const DONE: &[u8] = b"[DONE]";

/// Reads one record, or a whole response.
pub(super) fn read(value: &mut Cursor<'_>) -> Result<Draft, Broken> {
    let mut draft = Draft::default();
    let mut event = Text::default();
    let mut has_delta = false;
    let mut has_text = false;
    let mut response = None;
    value.object(|value, key| {
        match key {
            b"choices" => value.array(|choice| read_choice(choice, &mut draft))?,
            b"usage" => draft.usage = read_usage(value)?,
            b"error" => draft.error = value.is_some()?,
            b"type" => event = value.text()?.unwrap_or_default(),
            b"delta" => has_delta = value.is_text()?,
            b"response" => response = Some(value.raw()?),
            // The items of a whole response of /v1/responses.
            b"output" => draft.content = value.is_list()?,
            // The images of a whole response. Embeddings are in a list with this name too.
            b"data" => value.array(|image| read_image(image, &mut draft))?,
            b"text" => has_text = value.is_text()?,
            _ => value.skip()?,
        }
        Ok(())
    })?;
    let mut room = ROOM;
    match event.said(&mut room) {
        b"response.output_text.delta" => draft.content = has_delta,
        // A call without arguments is a call.
        b"response.function_call_arguments.delta" => draft.tool_call = true,
        b"response.completed" | b"response.incomplete" | b"response.failed" => {
            draft.terminal = true;
            if let Some(response) = response {
                draft.usage = response_usage(response)?;
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

fn response_usage(response: &[u8]) -> Result<Usage, Broken> {
    let mut usage = Usage::default();
    Cursor::new(response).object(|value, key| match key {
        b"usage" => read_usage(value).map(|told| usage = told),
        _ => value.skip(),
    })?;
    Ok(usage)
}
