//! Routes and rules of the keeper's.

use super::{Holder, Keeping, Op, Order};
use crate::net::route::{KernelRoute, RouteOp};
use crate::net::rule::RuleOp;
use crate::vrrp::route::Route;
use crate::vrrp::rule::Rule;

impl Keeping {
    /// Routes, then the rules that lead to them, each in configuration order (so does the original). What is there stays.
    pub(super) fn add_paths(&mut self, holder: &Holder<'_>, routes: &[Route], rules: &[Rule]) {
        for route in routes {
            match self.in_place(route) {
                Ok(route) => self.queue_path(holder, Op::Route(Box::new(RouteOp::Add(route)))),
                Err(device) => {
                    let name = holder.name;
                    tracing::warn!(instance = name, "({name}) cannot add route {route}: interface {device} does not exist");
                }
            }
        }
        for rule in rules {
            self.queue_path(holder, Op::Rule(Box::new(RuleOp::Add(rule.clone()))));
        }
    }

    /// Rules, then routes. What is not there is not missed: a predecessor's are found this way.
    pub(super) fn delete_paths(&mut self, holder: &Holder<'_>, routes: &[Route], rules: &[Rule]) {
        for rule in rules {
            self.queue_path(holder, Op::Rule(Box::new(RuleOp::Delete(rule.clone()))));
        }
        for route in routes {
            // An interface that is gone took its routes along.
            if let Ok(route) = self.in_place(route) {
                self.queue_path(holder, Op::Route(Box::new(RouteOp::Delete(route))));
            }
        }
    }

    fn queue_path(&mut self, holder: &Holder<'_>, op: Op) {
        self.queue.push_back(Order::Change { name: holder.name.into(), op });
    }

    /// With its interfaces looked up; else the name of one that does not exist.
    pub(super) fn in_place<'r>(&self, route: &'r Route) -> Result<KernelRoute, &'r str> {
        let mirror = self.shared.mirror();
        KernelRoute::of(route, |name| mirror.by_name(name).map(|link| link.index))
    }
}
