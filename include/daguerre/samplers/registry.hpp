#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "daguerre/config/config.hpp"
#include "daguerre/samplers/sampler.hpp"

namespace daguerre::samplers {

/// Makes samplers from scheduler configurations, by `_class_name`, or by short names such as
/// "dpm++2m-karras". A value: copy `standard()` and add to it.
class SamplerRegistry {
 public:
  /// Reads the keys of its class from the configuration.
  using Factory = std::function<std::shared_ptr<const Sampler>(const daguerre::Config&)>;

  /// All samplers of this library under diffusers' class names, and the short names.
  static SamplerRegistry standard();

  /// Adds or replaces a class.
  void add(std::string class_name, Factory factory);
  /// Adds or replaces a short name: the class and the keys it fixes (a JSON object).
  void add_name(std::string name, std::string class_name, std::string overrides = "{}");

  /// The sampler that a `scheduler_config.json` describes. Keys that any scheduler class of diffusers has
  /// taken in any release are legal in all of them, since changing a scheduler's class keeps them, and a
  /// class leaves alone those that it does not take; keys that no class knows are refused. Where diffusers
  /// has changed a class's results, the newest are given unless `_diffusers_version` names an older release.
  /// Throws ConfigError: unknown class, unknown key, or what the class refuses.
  std::shared_ptr<const Sampler> make(const daguerre::Config& config) const;
  /// The sampler called `name`, configured as diffusers' `from_config` does when the class is changed: keys
  /// of `base` that the class knows are kept, the others dropped, missing ones take the class's defaults;
  /// then the keys that the name fixes are set. A name of a class with several spacings of noise levels fixes
  /// the spacing: Karras' where it says so, otherwise that of the timesteps. For a model of flow matching
  /// (`FlowMatch…`, `use_flow_sigmas`, `flow_prediction`) a name means that method over its levels: "euler"
  /// is FlowMatchEulerDiscreteScheduler. Throws ConfigError, also for methods that are for noise alone.
  std::shared_ptr<const Sampler> make(std::string_view name, const daguerre::Config& base) const;

  /// The short names, sorted.
  std::vector<std::string> names() const;
  /// Those that a model with that configuration can be sampled with.
  std::vector<std::string> names_for(const daguerre::Config& base) const;
  /// The class names, sorted.
  std::vector<std::string> class_names() const;
  /// Classes are also known by their names for JAX ("FlaxDDIMScheduler").
  bool knows_class(std::string_view class_name) const;

 private:
  struct Named {
    std::string class_name;
    std::string overrides;
  };
  std::map<std::string, Factory, std::less<>> classes_;
  std::map<std::string, Named, std::less<>> names_;
};

}  // namespace daguerre::samplers
