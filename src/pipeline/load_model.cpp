#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include "core/attempt.hpp"
#include "daguerre/core/memory.hpp"
#include "daguerre/pipeline/ip_adapter.hpp"
#include "daguerre/pipeline/model.hpp"
#include "daguerre/pipeline/motion_adapter.hpp"
#include "pipeline/enlargement.hpp"
#include "pipeline/loaded_parts.hpp"
#include "pipeline/memory_plan.hpp"
#include "pipeline/model_fit.hpp"
#include "pipeline/name.hpp"

/// How a model's parts become one, and another one beside it.
namespace daguerre {
namespace {

/// A copy of `config` in which the keys of `overrides` hold, also where the file says of them that they were
/// defaults, which another class replaces by its own.
Config overridden(const Config& config, const std::string& overrides) {
  auto changes = nlohmann::json::parse(overrides);
  if (changes.empty()) return config;
  if (config.has("_use_default_values")) {
    auto defaults = config.require_strings("_use_default_values");
    std::erase_if(defaults, [&](const std::string& key) { return changes.contains(key); });
    changes["_use_default_values"] = defaults;
  }
  return config.with(changes.dump());
}

/// A part that was opened, and its number among the model's.
template <class Component>
struct Found {
  std::size_t place;
  Opened<Component> opened;
};

/// A part's size; nothing where there are no weights: a host's part may have none, and loading tells of the
/// others.
PartSize size_of_part(Part::Kind kind, const ComponentSource& source, const LoadContext& context) {
  const auto role = kind == Part::Kind::denoiser ? Role::denoiser : Role::other;
  try {
    const auto weights = source.weights(
        {.allow_trailing_bytes = context.allow_trailing_bytes, .threads = context.compute.threads});
    return size_of(kind, weights, precision_of(context, role));
  } catch (const FileError&) {
    return {.kind = kind};
  }
}

/// What the family makes of its denoisers, one as a rule.
std::shared_ptr<const Denoiser> combined(const Family& family,
                                         std::vector<std::shared_ptr<const Denoiser>> denoisers,
                                         const Config& index) {
  if (family.combine) return family.combine(std::move(denoisers), index);
  if (denoisers.size() != 1)
    throw ArgumentError(pipeline_name, "the family " + family.name + " names " +
                                           std::to_string(denoisers.size()) + " denoisers, expected one");
  return denoisers.front();
}

}  // namespace

Config scheduler_config(const ComponentSource& part) {
  const auto config =
      part.given_config ? *part.given_config : Config::load(part.folder / "scheduler_config.json");
  (void)config.class_name();  // checks that it is a name, though model_index.json decides
  return config.with(nlohmann::json{{"_class_name", part.class_name}}.dump());
}

Config scheduler_config(const ModelSource& source, const PipelineClass& pipeline) {
  auto part = source.part("scheduler");
  if (!pipeline.scheduler_class.empty()) part.class_name = pipeline.scheduler_class;
  return overridden(scheduler_config(part), pipeline.scheduler_overrides);
}

Model Model::load(const Family& family, const ModelSource& given, const ComponentRegistry& registry,
                  const LoadContext& context) {
  const auto source = with_joined_motion(given, context.allow_trailing_bytes);
  std::vector<const Part*> parts;
  std::vector<ComponentSource> sources;
  std::vector<Found<TextEncoder>> text_encoders;
  std::vector<Found<Denoiser>> denoisers;
  std::optional<Found<ImageEncoder>> image_encoder;
  std::optional<Found<Autoencoder>> autoencoder;
  for (const auto& part : family.parts) {
    if (!part.required && !source.find(part.name)) continue;
    const auto place = parts.size();
    parts.push_back(&part);
    auto& component = sources.emplace_back(source.part(part.name, part.class_names));
    if (part.overrides != "{}") component.given_config = overridden(component.config(), part.overrides);
    switch (part.kind) {
      case Part::Kind::text_encoder:
        text_encoders.push_back(
            {place, registry.open_text_encoder(component, source.part(part.tokenizer), context)});
        break;
      case Part::Kind::denoiser:
        denoisers.push_back({place, registry.open_denoiser(component, context)});
        break;
      case Part::Kind::autoencoder:
        autoencoder = {place, registry.open_autoencoder(component, context)};
        break;
      case Part::Kind::image_encoder:
        image_encoder = {place, registry.open_image_encoder(component, source.part(part.tokenizer), context)};
        break;
    }
  }
  if (denoisers.empty())
    throw ArgumentError(pipeline_name, "the family " + family.name + " names no denoiser");
  TextEncoderInfos texts;
  for (const auto& text : text_encoders) texts.emplace(parts[text.place]->name, text.opened.info);
  for (const auto& denoiser : denoisers)
    check_fit(family, texts, denoiser.opened.info, autoencoder ? &autoencoder->opened.info : nullptr);

  std::vector<PartSize> sizes;
  for (std::size_t i = 0; i < parts.size(); ++i)
    sizes.push_back(
        naming(sources[i].config_file(), [&] { return size_of_part(parts[i]->kind, sources[i], context); }));
  if (autoencoder) sizes[autoencoder->place].droppable = true;
  if (image_encoder) sizes[image_encoder->place].droppable = true;
  for (const auto& text : text_encoders) sizes[text.place].droppable = text.opened.prompts != nullptr;
  const auto kept = plan_memory(sizes, context.memory, available_memory());

  Components components{.text_encoders = {}, .denoiser = {}, .autoencoder = {}, .index = source.index()};
  auto ready = std::make_shared<LoadedParts>();
  LoraMatching matching(context.loras, true);
  int index = 0;
  const auto load = [&](const auto& found) {
    context.compute.check_stop();
    const auto& part = *parts[found.place];
    auto own = context;
    own.keeping = kept[found.place];
    own.compute.placement = own.keeping.placement;
    if (context.on_part) context.on_part(part.name, index, static_cast<int>(parts.size()), own.keeping);
    ++index;
    return load_part(part, found.opened, own, matching);
  };
  for (const auto& text : text_encoders) {
    const auto& loaded = ready->text_encoders.emplace_back(load(text));
    components.text_encoders.emplace(loaded.part.name, loaded.component);
  }
  if (autoencoder) components.autoencoder = load(*autoencoder).component;
  if (image_encoder) components.image_encoder = load(*image_encoder).component;
  std::vector<std::shared_ptr<const Denoiser>> loaded;
  for (const auto& denoiser : denoisers)
    loaded.push_back(ready->denoisers.emplace_back(load(denoiser)).component);
  components.denoiser = combined(family, std::move(loaded), components.index);
  if (const auto& name = family.augmentation.scheduler; !name.empty())
    components.noising = noising_scheduler(source, name);
  ready->loras = matching.finished(family);
  Model model(family, std::move(components));
  model.loras_ = ready->loras;
  model.loaded_ = std::move(ready);
  return model;
}

Model Model::load(const ModelSource& source, const LoadContext& context) {
  const auto families = FamilyRegistry::standard();
  return load(families.of_class(source.class_name(), source.index().source()), source,
              ComponentRegistry::standard(), context);
}

Model Model::with_loras(const ops::Context& run, std::span<const LoraUse> loras) const {
  LoraMatching matching(loras, false);
  if (loaded_ == nullptr) {
    if (matching.empty()) return *this;
    throw ArgumentError(lora_name,
                        "the parts of this model were put together by hand: no LoRA can be applied to them");
  }
  auto result = *this;
  std::vector<std::shared_ptr<const Denoiser>> denoisers;
  for (const auto& denoiser : loaded_->denoisers) denoisers.push_back(adapted_part(denoiser, matching, run));
  result.components_.denoiser = combined(family_, std::move(denoisers), components_.index);
  for (const auto& text : loaded_->text_encoders)
    result.components_.text_encoders.insert_or_assign(text.part.name, adapted_part(text, matching, run));
  std::set<std::string> absent;
  for (const auto& part : family_.parts)
    if (part.kind == Part::Kind::text_encoder && !components_.text_encoders.contains(part.name))
      absent.insert(part.name);
  result.loras_ = loaded_->loras;
  auto applied = matching.finished(family_, absent);
  result.loras_.insert(result.loras_.end(), applied.begin(), applied.end());
  return result;
}

}  // namespace daguerre
