#include "text/embedding_names.hpp"

#include <algorithm>
#include <array>

namespace daguerre::text {

std::vector<NamedPart> split_at_names(std::string_view text, const std::vector<std::string>& names) {
  std::array<std::vector<std::size_t>, 256> by_first;  // the longest first
  for (std::size_t i = 0; i < names.size(); ++i)
    if (!names[i].empty()) by_first[static_cast<unsigned char>(names[i].front())].push_back(i);
  for (auto& bucket : by_first)
    std::stable_sort(bucket.begin(), bucket.end(),
                     [&](std::size_t a, std::size_t b) { return names[a].size() > names[b].size(); });
  std::vector<NamedPart> parts;
  std::size_t from = 0;
  for (std::size_t i = 0; i < text.size();) {
    const auto& bucket = by_first[static_cast<unsigned char>(text[i])];
    const auto found = std::find_if(bucket.begin(), bucket.end(), [&](std::size_t name) {
      return text.compare(i, names[name].size(), names[name]) == 0;
    });
    if (found == bucket.end()) {
      ++i;
      continue;
    }
    if (i > from) parts.push_back({text.substr(from, i - from)});
    parts.push_back({text.substr(i, names[*found].size()), *found});
    i += names[*found].size();
    from = i;
  }
  if (from < text.size()) parts.push_back({text.substr(from)});
  return parts;
}

}  // namespace daguerre::text
