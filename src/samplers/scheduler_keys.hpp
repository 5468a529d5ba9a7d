#pragma once

#include "daguerre/config/config.hpp"

namespace daguerre::samplers {

/// Marks every key that a scheduler class of diffusers has taken in any release. Changing the class of a
/// scheduler keeps the keys of the old one in its configuration, so all of them are legal in every
/// `scheduler_config.json`, and a class leaves alone those that it does not take.
void allow_scheduler_keys(const daguerre::Config& config);

/// The release of diffusers that wrote a configuration, from `_diffusers_version`.
struct Release {
  int major = 0, minor = 0;
  auto operator<=>(const Release&) const = default;
};
/// Whether an older release than `release` wrote it; false where the file does not say. Development
/// versions ("0.40.0.dev0") count as the release that they became.
bool written_before(const daguerre::Config& config, Release release);

}  // namespace daguerre::samplers
