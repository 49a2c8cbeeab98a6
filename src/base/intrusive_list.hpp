// A doubly linked list whose links live in the elements: no allocation, O(1) removal from anywhere. An element unlinks itself
// when it is destroyed. The list does not own its elements.
#pragma once

#include <cstddef>

namespace steelyard {

struct ListLink {
  ListLink* next = nullptr;
  ListLink* previous = nullptr;

  ListLink() = default;
  ListLink(const ListLink&) = delete;
  ListLink& operator=(const ListLink&) = delete;
  ~ListLink() { unlink(); }

  [[nodiscard]] bool linked() const { return next != nullptr; }
  void unlink() {
    if (next == nullptr) return;
    next->previous = previous;
    previous->next = next;
    next = previous = nullptr;
  }
};

// T derives from ListLink; it may be incomplete where nothing is taken out.
template <typename T>
class IntrusiveList {
 public:
  IntrusiveList() { head_.next = head_.previous = &head_; }
  IntrusiveList(const IntrusiveList&) = delete;
  IntrusiveList& operator=(const IntrusiveList&) = delete;
  ~IntrusiveList() {
    clear();
    head_.next = head_.previous = nullptr;
  }

  [[nodiscard]] bool empty() const { return head_.next == &head_; }
  void push_back(T& element) { insert_before(head_, element); }
  void push_front(T& element) { insert_before(*head_.next, element); }
  [[nodiscard]] T* front() { return empty() ? nullptr : static_cast<T*>(head_.next); }
  [[nodiscard]] T* back() { return empty() ? nullptr : static_cast<T*>(head_.previous); }
  // Before the first of which `is_later` is true.
  template <typename IsLater>
  void insert_before_first(T& element, const IsLater& is_later) {
    ListLink* link = head_.next;
    while (link != &head_ && !is_later(*static_cast<const T*>(link))) link = link->next;
    insert_before(*link, element);
  }
  T* pop_front() {
    T* first = front();
    if (first != nullptr) first->ListLink::unlink();
    return first;
  }
  T* pop_back() {
    T* last = back();
    if (last != nullptr) last->ListLink::unlink();
    return last;
  }
  void clear() {
    while (!empty()) head_.next->unlink();
  }
  // `visit` may not change the list.
  template <typename Visit>
  void for_each(const Visit& visit) {
    for (ListLink* link = head_.next; link != &head_; link = link->next) visit(*static_cast<T*>(link));
  }
  // Moves every element of `other` to the end of this list.
  void take_all(IntrusiveList& other) {
    while (T* element = other.pop_front()) push_back(*element);
  }

 private:
  static void insert_before(ListLink& place, ListLink& element) {
    element.previous = place.previous;
    element.next = &place;
    place.previous->next = &element;
    place.previous = &element;
  }
  ListLink head_;
};

}  // namespace steelyard
