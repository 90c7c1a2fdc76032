//! What the setting mutations do: `createSetting`, `updateSetting`.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use super::input::{LONGEST, Patch, check_length, check_not_blank};
use super::{Refusal, World};
use crate::behaviour::Behaviour;
use crate::model::{Id, Setting};

/// `CreateSettingInput` and `UpdateSettingInput`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SettingInput {
    id: Option<Id>,
    #[serde(default)]
    name: Patch<String>,
    value_type: String,
    #[serde(default)]
    lob_value: Patch<Value>,
    #[serde(default)]
    value: Patch<String>,
    context: String,
    context_id: i32,
}

// === impl World ===

impl World {
    pub(crate) fn create_setting(
        &mut self,
        input: SettingInput,
        behaviour: &Behaviour,
    ) -> Result<Arc<Setting>, Refusal> {
        let setting = self.changed_setting(Setting::default(), input, behaviour)?;
        let id = self.numbered(Id::default());
        Ok(self.store_setting(Setting { id, ..setting }))
    }

    pub(crate) fn update_setting(
        &mut self,
        input: SettingInput,
        behaviour: &Behaviour,
    ) -> Result<Arc<Setting>, Refusal> {
        let id = input.id.unwrap_or_default();
        let known = self.settings.get(&id).ok_or_else(|| Refusal::not_found("Setting", "id", &id.to_string()))?;
        let setting = self.changed_setting((**known).clone(), input, behaviour)?;
        Ok(self.store_setting(setting))
    }

    fn changed_setting(
        &self,
        mut setting: Setting,
        input: SettingInput,
        behaviour: &Behaviour,
    ) -> Result<Setting, Refusal> {
        let SettingInput { id: _, name, value_type, lob_value, value, context, context_id } = input;
        check_not_blank("name", name.value(), behaviour)?;
        let limited = [("name", name.value()), ("valueType", Some(&value_type)), ("value", value.value())];
        for (field, text) in limited.into_iter().chain([("context", Some(&context))]) {
            check_length(field, text, LONGEST, behaviour)?;
        }
        name.apply_required(&mut setting.name);
        setting.value_type = Some(value_type);
        lob_value.apply(&mut setting.lob_value, behaviour);
        value.apply(&mut setting.value, behaviour);
        (setting.context, setting.context_id) = (context, context_id);
        let same_place = |other: &Arc<Setting>| {
            other.id != setting.id
                && (&other.name, &other.context, other.context_id)
                    == (&setting.name, &setting.context, setting.context_id)
        };
        if self.settings.values().any(same_place) {
            let Setting { name, context, context_id, .. } = setting;
            let message = format!("ConstraintViolationException: `{name}` exists already in {context} {context_id}");
            return Err(Refusal::new(&behaviour.duplicate_code, message));
        }
        Ok(setting)
    }
}
