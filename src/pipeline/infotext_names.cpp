#include "pipeline/infotext_names.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

#include "daguerre/samplers/registry.hpp"

namespace daguerre {
namespace {

constexpr std::array<std::pair<Hires::Mode, std::string_view>, 5> hires_modes{
    {{Hires::Mode::latent_bilinear, "Latent"},
     {Hires::Mode::latent_nearest, "Latent (nearest)"},
     {Hires::Mode::latent_nearest_exact, "Latent (nearest-exact)"},
     {Hires::Mode::latent_bicubic, "Latent (bicubic)"},
     {Hires::Mode::pixels, "Lanczos"}}};

constexpr std::array<std::pair<MaskedContent, std::string_view>, 4> contents{
    {{MaskedContent::original, "original"},
     {MaskedContent::fill, "fill"},
     {MaskedContent::latent_noise, "latent noise"},
     {MaskedContent::latent_nothing, "latent nothing"}}};

/// The web UI's samplers that are here, without their schedules.
constexpr std::array<std::pair<std::string_view, std::string_view>, 16> web_samplers{
    {{"euler a", "euler-a"},
     {"euler", "euler"},
     {"lms", "lms"},
     {"heun", "heun"},
     {"dpm2", "kdpm2"},
     {"dpm2 a", "kdpm2-a"},
     {"dpm++ 2m", "dpm++2m"},
     {"dpm++ 2m sde", "dpm++2m-sde"},
     {"dpm++ 3m", "dpm++3m"},
     {"dpm++ 2s", "dpm++2s"},
     {"ddim", "ddim"},
     {"plms", "pndm"},
     {"unipc", "unipc"},
     {"lcm", "lcm"},
     {"ddpm", "ddpm"},
     {"deis", "deis"}}};

template <class Table, class Key>
auto entry_called(const Table& table, Key name) {
  using Value = std::remove_cv_t<decltype(table.front().first)>;
  const auto found =
      std::find_if(table.begin(), table.end(), [&](const auto& entry) { return entry.second == name; });
  return found == table.end() ? std::optional<Value>() : std::optional<Value>(found->first);
}

std::string in_lower_case(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return result;
}

}  // namespace

std::string upscaler_name(Hires::Mode mode) {
  for (const auto& [value, name] : hires_modes)
    if (value == mode) return std::string(name);
  return {};
}

std::optional<Hires::Mode> hires_mode_called(std::string_view name) {
  return entry_called(hires_modes, name);
}

std::string masked_content_name(MaskedContent content) {
  for (const auto& [value, name] : contents)
    if (value == content) return std::string(name);
  return {};
}

std::optional<MaskedContent> masked_content_called(std::string_view name) {
  return entry_called(contents, name);
}

std::optional<std::string> sampler_called(std::string_view name, std::string_view schedule) {
  const auto names = samplers::SamplerRegistry::standard().names();
  const auto known = [&](const std::string& wanted) {
    return std::find(names.begin(), names.end(), wanted) != names.end();
  };
  if (known(std::string(name))) return std::string(name);
  auto plain = in_lower_case(name);
  auto levels = in_lower_case(schedule);
  constexpr std::string_view karras = " karras";
  if (plain.ends_with(karras)) {
    plain.resize(plain.size() - karras.size());
    levels = "karras";
  }
  const auto found = std::find_if(web_samplers.begin(), web_samplers.end(),
                                  [&](const auto& entry) { return entry.first == plain; });
  if (found == web_samplers.end()) return std::nullopt;
  std::string result(found->second);
  if (levels == "karras")
    result += "-karras";
  else if (!levels.empty() && levels != "automatic" && levels != "uniform")
    return std::nullopt;
  return known(result) ? std::optional(result) : std::nullopt;
}

}  // namespace daguerre
