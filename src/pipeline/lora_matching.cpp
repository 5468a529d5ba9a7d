#include "pipeline/lora_matching.hpp"

#include <algorithm>
#include <cmath>

#include "core/text.hpp"
#include "daguerre/core/error.hpp"
#include "daguerre/weights/adapter_file.hpp"
#include "pipeline/name.hpp"

namespace daguerre {
namespace {

/// What adapter files call a model's part.
std::string_view adapter_part(const Part& part) {
  return part.kind == Part::Kind::denoiser ? weights::AdapterFile::denoiser : std::string_view(part.name);
}

}  // namespace

LoraMatching::LoraMatching(std::span<const LoraUse> loras, bool at_load) {
  for (const auto& use : loras) {
    if (use.lora == nullptr) throw ArgumentError(lora_name, "a LoRA without a file is asked for");
    if (!std::isfinite(use.weight) || !std::isfinite(use.text_weight()))
      throw ArgumentError(lora_name, use.lora->name() + ": its weight is not a finite number");
    if (use.weight == 0.0f && use.text_weight() == 0.0f) continue;
    uses_.push_back(use);
    infos_.push_back({.name = use.lora->name(),
                      .weight = use.weight,
                      .text_encoder_weight = use.text_weight(),
                      .modules = {},
                      .at_load = at_load});
  }
}

bool LoraMatching::changes(const Part& part) const {
  return std::any_of(uses_.begin(), uses_.end(),
                     [&](const LoraUse& use) { return use.lora->file().changes(adapter_part(part)); });
}

weights::Deltas LoraMatching::deltas(const Part& part, const weights::StateDict& weights) {
  const auto name = adapter_part(part);
  asked_.insert(std::string(name));
  weights::Deltas result;
  for (std::size_t i = 0; i < uses_.size(); ++i) {
    const auto& use = uses_[i];
    if (!use.lora->file().changes(name)) continue;
    auto match = use.lora->file().match(name, weights);
    infos_[i].unmatched += match.unmatched.size();
    if (match.matched > 0) infos_[i].modules[part.name] = match.matched;
    const float strength = part.kind == Part::Kind::text_encoder ? use.text_weight() : use.weight;
    if (strength == 0.0f) continue;
    for (auto& [tensor, applied] : match.deltas)
      for (auto& delta : applied) delta.strength *= strength;
    weights::append(result, match.deltas);
  }
  return result;
}

std::vector<LoraInfo> LoraMatching::finished(const Family& family,
                                             const std::set<std::string>& absent) const {
  for (std::size_t i = 0; i < uses_.size(); ++i) {
    const auto& lora = *uses_[i].lora;
    const auto& file = lora.file();
    const auto like =
        file.family().empty() ? std::string() : "; its keys look like those for " + file.family();
    for (const auto& part : file.parts()) {
      if (asked_.contains(part) || absent.contains(part) || lora.accepts_partial()) continue;
      const bool has = std::any_of(family.parts.begin(), family.parts.end(),
                                   [&](const Part& own) { return adapter_part(own) == part; });
      throw WeightError(lora_name,
                        file.source() + ": it changes the " + part + ", which " +
                            (has ? "takes no LoRA in this model" : family.title + " does not have") + like);
    }
    if (infos_[i].modules.empty() && absent.empty())
      throw WeightError(lora_name, file.source() + ": nothing of it fits " + family.title + like);
  }
  return infos_;
}

}  // namespace daguerre
