#include "daguerre/evaluation/process_group.hpp"

#include <sstream>
#include <utility>

namespace daguerre::evaluation {
namespace {

class OneProcess : public ProcessGroup {
 public:
  int rank() const noexcept override { return 0; }
  int size() const noexcept override { return 1; }
  void share_out(Index count, const std::function<void(Index)>& work) override {
    for (Index i = 0; i < count; ++i) work(i);
  }
  void barrier() override {}
  std::string broadcast(std::string text) override { return text; }
};

}  // namespace

void share_out(ProcessGroup& group, const std::vector<Index>& items, const std::function<void(Index)>& work) {
  std::string text;
  if (group.rank() == 0)
    for (const Index item : items) text += std::to_string(item) + " ";
  std::istringstream numbers(group.broadcast(std::move(text)));
  std::vector<Index> all;
  for (Index item = 0; numbers >> item;) all.push_back(item);
  group.share_out(static_cast<Index>(all.size()), [&](Index i) { work(all[static_cast<std::size_t>(i)]); });
}

std::unique_ptr<ProcessGroup> alone() {
  return std::make_unique<OneProcess>();
}

}  // namespace daguerre::evaluation
