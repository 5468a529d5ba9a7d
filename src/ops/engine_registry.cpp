#include "daguerre/ops/engine_registry.hpp"

#include <algorithm>

#include "ops/engines/engines.hpp"

namespace daguerre::ops {
namespace {

constexpr std::string_view automatic = "auto";

}  // namespace

EngineRegistry EngineRegistry::standard() {
  EngineRegistry registry;
  if (has_onednn) registry.add("onednn", make_onednn_engine);
  registry.add("native", make_native_engine);
  registry.add_older_name("eigen", "native");
  return registry;
}

void EngineRegistry::add(std::string name, Maker maker) {
  if (name.empty() || name == automatic)
    throw ArgumentError("engine", "an engine cannot be called \"" + name + "\"");
  if (maker == nullptr) throw ArgumentError("engine", "nothing makes the engine \"" + name + "\"");
  const auto same = [&](const auto& engine) { return engine.first == name; };
  const auto found = std::find_if(engines_.begin(), engines_.end(), same);
  if (found != engines_.end())
    found->second = std::move(maker);
  else
    engines_.emplace_back(std::move(name), std::move(maker));
}

void EngineRegistry::add_older_name(std::string older, std::string name) {
  const auto known = names();
  if (std::find(known.begin(), known.end(), name) == known.end() ||
      std::find(known.begin(), known.end(), older) != known.end())
    throw ArgumentError("engine", "\"" + older + "\" cannot be an older name of \"" + name + "\"");
  older_[std::move(older)] = std::move(name);
}

std::vector<std::string> EngineRegistry::names() const {
  std::vector<std::string> names;
  for (const auto& [name, maker] : engines_) names.push_back(name);
  return names;
}

std::string_view EngineRegistry::resolve(std::string_view name) const {
  for (const auto& engine : engines_)
    if (engine.first == name) return engine.first;
  const auto found = older_.find(name);
  return found == older_.end() ? std::string_view() : std::string_view(found->second);
}

std::shared_ptr<const Engine> EngineRegistry::make(std::string_view name) const {
  const auto wanted = name == automatic ? automatic : resolve(name);
  for (const auto& [each, maker] : engines_) {
    if (wanted != automatic && wanted != each) continue;
    if (auto engine = maker()) return engine;
    if (wanted == each)
      throw ArgumentError("engine", "the engine \"" + each + "\" does not run on this machine");
  }
  std::string known;
  for (const auto& each : names()) known += (known.empty() ? "" : ", ") + each;
  throw ArgumentError("engine", "there is no engine \"" + std::string(name) + "\"; there are: " + known);
}

std::vector<std::string> engine_names() {
  return EngineRegistry::standard().names();
}

std::shared_ptr<const Engine> make_engine(std::string_view name) {
  return EngineRegistry::standard().make(name);
}

std::string engine_version(std::string_view name) {
  return make_engine(name)->version();
}

}  // namespace daguerre::ops
