#include "daguerre/weights/adapter_file.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "core/text.hpp"
#include "daguerre/core/error.hpp"
#include "weights/adapters/block_weights.hpp"
#include "weights/adapters/changes.hpp"
#include "weights/adapters/keys.hpp"
#include "weights/adapters/targets.hpp"
#include "weights/names.hpp"

namespace daguerre::weights {
namespace {

/// The first few of some keys, in quotes.
std::string first_keys(const std::vector<std::string>& keys) {
  constexpr std::size_t few = 3;
  std::string result;
  for (std::size_t i = 0; i < std::min(few, keys.size()); ++i)
    result += (i == 0 ? "" : ", ") + in_quotes(keys[i]);
  return keys.size() > few ? result + " …" : result;
}

std::string likely_family(const std::string& family) {
  return family.empty() ? std::string() : "; the file's keys look like those for " + family;
}

}  // namespace

struct AdapterFile::Content {
  AdapterOptions options;
  std::string source, family;
  std::filesystem::path path;
  std::vector<std::string> foreign;
  std::vector<adapters::Module> modules;  ///< sorted by part
  std::size_t keys = 0;

  /// FLUX has two text encoders, of which some call the second by SD 3's third name.
  void place_second_encoder() {
    if (family != "FLUX") return;
    for (auto& module : modules)
      if (module.part == text_encoder_3) module.part = text_encoder_2;
  }
};

AdapterFile AdapterFile::load(const std::filesystem::path& path, const AdapterOptions& options) {
  return AdapterFile(StateDict::load(path), options);
}

AdapterFile::AdapterFile(const StateDict& tensors, const AdapterOptions& options) {
  auto content = std::make_shared<Content>();
  content->options = options;
  content->source = tensors.source();
  content->path = tensors.path();
  content->modules = adapters::read_modules(tensors, content->foreign);
  content->keys = tensors.names().size();
  content->family = adapters::family_of(content->modules);
  if (content->modules.empty())
    throw FormatError(weights_name,
                      content->source + ": no key is one of an adapter (LoRA and its kin)" +
                          (content->foreign.empty() ? "" : ": " + first_keys(content->foreign)),
                      content->path);
  if (!content->foreign.empty() && !options.partial)
    throw FormatError(weights_name,
                      content->source + ": " + std::to_string(content->foreign.size()) + " of " +
                          std::to_string(content->keys) +
                          " keys are none of an adapter: " + first_keys(content->foreign),
                      content->path);
  if (options.read_metadata) adapters::read_adapter_metadata(tensors, content->modules);
  content->place_second_encoder();
  content_ = std::move(content);
}

std::vector<std::string> AdapterFile::parts() const {
  std::set<std::string> result;
  for (const auto& module : content_->modules) result.insert(module.part);
  return {result.begin(), result.end()};
}

bool AdapterFile::changes(std::string_view part) const {
  return std::any_of(content_->modules.begin(), content_->modules.end(),
                     [&](const adapters::Module& module) { return module.part == part; });
}

const std::string& AdapterFile::family() const noexcept {
  return content_->family;
}

const std::vector<std::string>& AdapterFile::foreign() const noexcept {
  return content_->foreign;
}

const std::string& AdapterFile::source() const noexcept {
  return content_->source;
}

AdapterMatch AdapterFile::match(std::string_view part, const StateDict& weights) const {
  const auto& [options, source, family, path] =
      std::tie(content_->options, content_->source, content_->family, content_->path);
  const auto& modules = content_->modules;
  const adapters::Targets targets(weights);
  const adapters::Changes changes(targets, options, source, likely_family(family));
  const adapters::BlockWeights blocks(options.block_weights, weights, part == denoiser);
  AdapterMatch result;
  std::size_t of_part = 0;
  // Names first: factors of another family's file fit nothing, which is no news.
  for (const auto& module : modules) {
    if (module.part != part) continue;
    of_part += module.keys.size();
    const std::size_t before = result.unmatched.size();
    changes.unplaced(module, result.unmatched);
    if (result.unmatched.size() - before < module.keys.size()) ++result.matched;
  }
  if (!result.unmatched.empty() && !options.partial)
    throw WeightError(weights_name,
                      source + ": " + std::to_string(result.unmatched.size()) + " of " +
                          std::to_string(of_part) + " keys for the " + std::string(part) +
                          " have no place in " + weights.source() + ": " + first_keys(result.unmatched) +
                          likely_family(family),
                      path);
  std::map<std::string, const adapters::Module*, std::less<>> owners;
  for (const auto& module : modules) {
    if (module.part != part) continue;
    for (auto& [tensor, delta] : changes.of(module)) {
      const auto [owner, is_new] = owners.try_emplace(tensor, &module);
      if (!is_new)
        throw FormatError(weights_name,
                          source + ": " + in_quotes(owner->second->keys.begin()->second) + " and " +
                              in_quotes(module.keys.begin()->second) + " both change " + in_quotes(tensor),
                          path);
      if (const float strength = blocks.of(tensor, targets.original_name(tensor)); strength != 0.0f)
        result.deltas[tensor].push_back({std::move(delta), strength});
    }
  }
  return result;
}

}  // namespace daguerre::weights
