#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daguerre/ops/engine.hpp"

namespace daguerre::ops {

/// Makes engines by name. A value: copy `standard()` and add to it.
class EngineRegistry {
 public:
  /// Gives the engine, or nullptr where this machine cannot run it.
  using Maker = std::function<std::shared_ptr<const Engine>()>;

  /// The engines compiled in, best first: "onednn" where present, "native" always; the older name "eigen"
  /// means "native".
  static EngineRegistry standard();

  /// Adds an engine behind those there are, or replaces the one of that name. Throws ArgumentError for an
  /// empty name and for "auto".
  void add(std::string name, Maker maker);
  /// Lets `older` mean `name`. Throws ArgumentError where there is no engine of that name, or one called
  /// `older`.
  void add_older_name(std::string older, std::string name);

  /// The names, best first; older ones are left out.
  std::vector<std::string> names() const;
  /// The name of the engine that `name`, an older one perhaps, stands for; empty where it is not known.
  std::string_view resolve(std::string_view name) const;
  /// The engine of that name, or of that older name; "auto" is the first that this machine runs. Throws
  /// ArgumentError naming those there are.
  std::shared_ptr<const Engine> make(std::string_view name = "auto") const;

 private:
  std::vector<std::pair<std::string, Maker>> engines_;
  std::map<std::string, std::string, std::less<>> older_;
};

}  // namespace daguerre::ops
