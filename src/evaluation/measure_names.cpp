#include "evaluation/measure_names.hpp"

#include <filesystem>
#include <set>

namespace daguerre::evaluation {

std::vector<std::string> suffixes_of(const std::vector<std::string>& networks) {
  std::vector<std::string> result(networks.size());
  for (int detail = 0; detail < 3 && std::set(result.begin(), result.end()).size() < networks.size();
       ++detail)
    for (std::size_t i = 0; i < networks.size(); ++i) {
      const auto colon = networks[i].find(':');
      std::filesystem::path path(networks[i].substr(colon + 1));
      if (!path.has_filename()) path = path.parent_path();
      auto text = networks[i];
      if (detail < 2) text = text.substr(0, colon);
      if (detail == 1) text += " " + path.stem().string();
      result[i] = " (" + text + ")";
    }
  return result;
}

}  // namespace daguerre::evaluation
