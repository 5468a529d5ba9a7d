#include <fstream>
#include <limits>

#include <nlohmann/json.hpp>

#include "config/json.hpp"
#include "conformance/case.hpp"
#include "daguerre/core/error.hpp"
#include "daguerre/text/chat_template.hpp"

/// Recorded conversations as published chat templates render them: cases.json beside MODEL.jinja. Of models
/// whose template is not there, nothing is compared.
namespace daguerre::conformance {
namespace {

/// Whether what the template makes, or why it refuses, is what the reference's did.
bool renders(const text::ChatTemplate& chat, const nlohmann::ordered_json& entry) {
  auto variables = entry;
  for (const char* key : {"model", "case", "messages", "text", "error"}) variables.erase(key);
  try {
    const auto text =
        chat.render_json(entry.at("messages").dump(),
                         {.add_generation_prompt = true, .variables = variables.dump(), .now = {}});
    return !entry.contains("error") && text == entry.at("text").get<std::string>();
  } catch (const ArgumentError& error) {
    return entry.contains("error") &&
           std::string(error.what()).find(entry.at("error").get<std::string>()) != std::string::npos;
  }
}

}  // namespace

std::optional<Result> run_chat_templates(const std::filesystem::path& folder) {
  std::map<std::string, text::ChatTemplate> templates;
  for (const auto& file : std::filesystem::directory_iterator(folder))
    if (file.path().extension() == ".jinja")
      templates.emplace(file.path().stem().string(),
                        text::ChatTemplate(read_text_file(file.path(), 1u << 20), file.path().string()));
  if (templates.empty()) return std::nullopt;
  std::ifstream stream(folder / "cases.json");
  std::map<std::string, int> failed;
  for (const auto& entry : nlohmann::ordered_json::parse(stream)) {
    const auto model = entry.at("model").get<std::string>();
    const auto found = templates.find(model);
    if (found != templates.end()) failed[model] += renders(found->second, entry) ? 0 : 1;
  }
  Result result;
  constexpr double infinity = std::numeric_limits<double>::infinity();
  for (const auto& [model, count] : failed)
    result.checks.push_back({model, {static_cast<double>(count), count == 0 ? 0.0 : infinity}, 0.0});
  return result;
}

}  // namespace daguerre::conformance
